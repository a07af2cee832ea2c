"""Storage on fsspec: in memory, in files, and in S3 as moto serves it over HTTP."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydantic
import pytest

from penstock.blocks.credentials import AwsCredentials, MinIOCredentials
from penstock.errors import ConfigurationError
from penstock.filesystems import S3, RemoteFileSystem, S3Bucket

for package in ("fsspec", "s3fs", "moto", "boto3"):
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed", allow_module_level=True)

SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


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
