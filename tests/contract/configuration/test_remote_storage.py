"""Storage on fsspec: in memory, in files, and in S3 as moto serves it over HTTP."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydantic
import pytest
from stores import moto

from penstock.blocks.credentials import AwsCredentials, MinIOCredentials
from penstock.errors import ConfigurationError
from penstock.filesystems import GCS, S3, SMB, Azure, RemoteFileSystem, S3Bucket
from penstock.testing import Fault, FaultProxy

for package in ("fsspec", "s3fs", "moto", "boto3"):
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed", allow_module_level=True)

#: Modules of ours that import a library as soon as they are imported.
_OURS = (
    "penstock.storage.sftp",
    "penstock.storage.smb_shares",
    "fsspec.implementations.sftp",
    "fsspec.implementations.smb",
)
SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def bucket(s3_url: str) -> str:
    name = f"flows-{uuid4().hex[:12]}"
    credentials(s3_url).get_s3_client().create_bucket(Bucket=name)
    return name


def credentials(url: str) -> AwsCredentials:
    return AwsCredentials(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        aws_client_parameters={"endpoint_url": url},
    )


def s3(url: str, bucket_path: str, **fields: Any) -> S3:
    return S3(
        bucket_path=bucket_path,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key=SECRET,
        endpoint_url=url,
        **fields,
    )


@pytest.fixture(params=["memory", "file", "s3", "s3-bucket", "minio"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        return RemoteFileSystem(basepath=f"memory://{uuid4().hex}/base")
    if request.param == "file":
        return RemoteFileSystem(basepath=f"file://{tmp_path}/base")
    url, name = request.getfixturevalue("s3_url"), request.getfixturevalue("bucket")
    if request.param == "s3":
        return s3(url, f"{name}/base")
    if request.param == "s3-bucket":
        return S3Bucket(bucket_name=name, credentials=credentials(url), bucket_folder="base/")
    key = MinIOCredentials(
        minio_root_user="minio", minio_root_password=SECRET, aws_client_parameters={"endpoint_url": url}
    )
    return S3Bucket(bucket_name=name, credentials=key)


def test_what_is_written_is_read_again_and_written_over(storage: Any) -> None:
    assert storage.write_path("a/b.bin", b"\x00one") == "a/b.bin"
    assert storage.read_path("a/b.bin") == b"\x00one"
    storage.write_path("a/b.bin", b"two")
    assert storage.read_path("a/b.bin") == b"two"


def test_a_path_where_nothing_is_raises_file_not_found(storage: Any) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.read_path("no-such")


def test_a_tree_goes_there_without_what_is_ignored_and_comes_back(storage: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("flow.py", "pkg/a.py", "pkg/deep/b.txt", "data/huge.csv", "__pycache__/flow.pyc"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    ignore = tmp_path / "ignore"
    ignore.write_text("data/\n")
    assert storage.put_directory(str(source), "code/v1", ignore_file=str(ignore)) == 3
    assert storage.get_directory("code/v1", str(tmp_path / "back")) == 3
    found = {str(path.relative_to(tmp_path / "back")): path.read_text() for path in (tmp_path / "back").rglob("*.*")}
    assert found == {name: name for name in ("flow.py", "pkg/a.py", "pkg/deep/b.txt")}
    assert storage.get_directory("code/v1/pkg/deep", str(tmp_path / "part")) == 1
    assert (tmp_path / "part" / "b.txt").read_text() == "pkg/deep/b.txt"


def test_a_folder_whose_name_begins_like_another_stays_out_of_it(storage: Any, tmp_path: Path) -> None:
    storage.write_path("v1/flow.py", b"1")
    storage.write_path("v10/flow.py", b"10")
    assert storage.get_directory("v1", str(tmp_path / "got")) == 1
    assert (tmp_path / "got" / "flow.py").read_bytes() == b"1"


def test_a_folder_where_nothing_is_raises_file_not_found(storage: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.get_directory("no-such", str(tmp_path / "got"))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "s3://elsewhere/x"])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="leads out"):
        RemoteFileSystem(basepath="memory://base").write_path(path, b"")


def test_a_check_says_whether_the_bucket_is_there(s3_url: str, bucket: str) -> None:
    assert [finding.ok for finding in s3(s3_url, f"{bucket}/not/yet").check()] == [True, True]
    anything = RemoteFileSystem(
        basepath=f"s3://{bucket}/not/yet",
        settings={"key": "k", "secret": SECRET, "client_kwargs": {"endpoint_url": s3_url}},
    )
    assert [finding.ok for finding in anything.check()] == [True, True]
    missing = s3(s3_url, "no-such-bucket/x").check()[-1]
    assert not missing.ok
    assert "no-such-bucket" in missing.said


def test_an_address_where_nobody_is_gives_an_error_without_secrets(tmp_path: Path) -> None:
    block = S3Bucket(
        bucket_name="flows",
        credentials=MinIOCredentials(
            minio_root_user="minio",
            minio_root_password=SECRET,
            aws_client_parameters={
                "endpoint_url": "http://127.0.0.1:1",
                "config": {"retries": {"max_attempts": 0}, "connect_timeout": 2},
            },
        ),
    )
    with pytest.raises(OSError, match="flows/x cannot be used") as caught:
        block.read_path("x")
    assert SECRET not in repr(caught.value)


def test_keys_may_stand_as_references(s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_BUCKET", bucket)
    monkeypatch.setenv("FLOW_SECRET", SECRET)
    block = S3(
        bucket_path="${env:FLOW_BUCKET}/x",
        aws_access_key_id="k",
        aws_secret_access_key="${env:FLOW_SECRET}",
        endpoint_url=s3_url,
    )
    block.write_path("a", b"1")
    assert block.read_path("a") == b"1"
    assert block.bucket_path == "${env:FLOW_BUCKET}/x"


@pytest.mark.parametrize(
    ("basepath", "words"),
    [
        ("my-bucket/x", "has to be a URL"),
        ("s3://", "a scheme alone"),
        ("sftpp://host/x", r"no scheme 'sftpp'.* Did you mean 's?ftp'"),
        ("sftp://me:hunter2@host/x", "holds a password"),
    ],
)
def test_a_basepath_that_cannot_work_is_refused_where_it_is_written(basepath: str, words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words) as caught:
        RemoteFileSystem(basepath=basepath)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("bucket_path", "words"),
    [("s3://b/x", "do without s3://"), ("Bucket/x", "cannot be a bucket"), ("/", "does not say where")],
)
def test_a_bucket_path_that_cannot_work_is_refused(bucket_path: str, words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        S3(bucket_path=bucket_path)


def test_settings_of_a_remote_file_system_are_never_shown() -> None:
    block = RemoteFileSystem(basepath="memory://x", settings={"key": "hunter2"})
    assert "hunter2" not in repr(block) + str(block) + block.model_dump_json()


def test_a_bucket_that_is_missing_is_named_by_every_call(s3_url: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a").write_text("a")
    block = s3(s3_url, "no-such-bucket/x")
    for use in (
        lambda: block.read_path("a"),
        lambda: block.write_path("a", b"1"),
        lambda: block.get_directory("d", str(tmp_path / "got")),
        lambda: block.put_directory(str(tmp_path / "source"), "d"),
    ):
        with pytest.raises(FileNotFoundError, match="s3://no-such-bucket does not exist"):
            use()


def test_nobody_being_let_in_says_where_keys_come_from(
    s3_url: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    block = S3(bucket_path=f"{bucket}/nobody", endpoint_url=s3_url)
    with pytest.raises(OSError, match=rf"s3://{bucket}/nobody/x cannot be used: .*Give the block keys"):
        block.read_path("x")
    assert "Give the block keys" in block.check()[-1].said


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=503, times=3),
        Fault("cut", times=2),
        Fault("cut_answer", path=".*[.]bin", times=2, after_bytes=10),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_network_that_fails_now_and_then_costs_no_file(
    s3_url: str, bucket: str, tmp_path: Path, fault: Fault
) -> None:
    content = {f"{number}.bin": os.urandom(2000) for number in range(12)}
    (tmp_path / "source").mkdir()
    for name, data in content.items():
        (tmp_path / "source" / name).write_bytes(data)
    s3(s3_url, f"{bucket}/x").put_directory(str(tmp_path / "source"))
    with FaultProxy(s3_url) as proxy:
        proxy.add(fault)
        assert s3(proxy.url, f"{bucket}/x").get_directory(None, str(tmp_path / "back")) == 12
    assert fault.struck == fault.times
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == content


@pytest.mark.parametrize(
    ("block", "module", "cure"),
    [
        (lambda: S3(bucket_path="flows/x"), "s3fs", "penstock[s3]"),
        (lambda: S3Bucket(bucket_name="flows"), "s3fs", "penstock[s3]"),
        (lambda: GCS(bucket_path="flows/x"), "gcsfs", "penstock[gcs]"),
        (
            lambda: Azure(bucket_path="c/x", azure_storage_account_name="missing-lib"),
            "adlfs",
            "penstock[azure-storage]",
        ),
        (lambda: SMB(share_path="/s", smb_host="h"), "smbclient", "penstock[smb]"),
        (lambda: RemoteFileSystem(basepath="sftp://h/x"), "paramiko", "penstock[sftp]"),
        (lambda: RemoteFileSystem(basepath="memory://x"), "fsspec", "penstock[remote]"),
    ],
    ids=["s3", "s3-bucket", "gcs", "azure", "smb", "sftp", "remote"],
)
def test_a_missing_library_is_an_error_with_the_line_that_installs_it(
    block: Any, module: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed, so that it cannot be taken away")
    made = block()
    known = importlib.import_module("fsspec.registry")._registry
    for scheme in list(known):
        monkeypatch.delitem(known, scheme)
    for name in [name for name in sys.modules if name.partition(".")[0] == module or name.startswith(_OURS)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError) as caught:
        made.read_path("x")
    assert caught.value.hint == f"pip install '{cure}'"
