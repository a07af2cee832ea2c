"""GCS blocks against a small store that speaks Google's JSON API; Azure blocks against Azurite where it is installed."""

import base64
import email
import email.policy
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import azurite
import pydantic
import pytest
from google_storage import service_account

from penstock.blocks.credentials import GcpCredentials
from penstock.filesystems import GCS, Azure, GcsBucket


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed")


class Store(ThreadingHTTPServer):
    """Buckets of Google Cloud Storage, and Google's token address. Only who shows the token is let in."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        super().__init__(("127.0.0.1", 0), StoreHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def describe(self, name: str) -> dict[str, Any]:
        bucket, _, key = name.partition("/")
        size = str(len(self.objects[name]))
        return {"kind": "storage#object", "bucket": bucket, "name": key, "size": size, "id": name, "generation": "1"}


class StoreHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        if path == ["token"]:
            return self.say(200, {"access_token": "ya29", "expires_in": 3600})
        if self.headers.get("Authorization") != "Bearer ya29":
            return self.say(401, {"error": {"code": 401, "message": "Anonymous caller"}})
        bucket = path[path.index("b") + 1]
        if bucket == "no-such-bucket":
            return self.say(404, {"error": {"code": 404, "message": "The specified bucket does not exist."}})
        if path[0] == "upload":
            message = email.message_from_bytes(
                f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + body, policy=email.policy.HTTP
            )
            about, content = message.iter_parts()
            name = f"{bucket}/{json.loads(about.get_payload(decode=True))['name']}"
            self.server.objects[name] = content.get_payload(decode=True)
            return self.say(200, self.server.describe(name))
        if path[-1] == bucket:
            return self.say(200, {"kind": "storage#bucket", "name": bucket, "id": bucket})
        if path[-1] == "o":
            found = [
                name for name in sorted(self.server.objects) if name.startswith(f"{bucket}/{query.get('prefix', '')}")
            ]
            return self.say(200, {"items": [self.server.describe(name) for name in found]})
        name = f"{bucket}/{path[-1]}"
        if name not in self.server.objects:
            return self.say(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
        return self.say(200, self.server.objects[name] if query.get("alt") == "media" else self.server.describe(name))

    do_GET = do_POST = answer

    def say(self, status: int, told: Any) -> None:
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    need("gcsfs")
    with Store() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        # Otherwise gcsfs asks for a bucket's layout over gRPC, which the store does not speak.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def account(store: Store) -> dict[str, str]:
    return service_account(f"{store.url}/token")


@pytest.fixture(scope="module")
def azurite_connection() -> Iterator[str]:
    need("adlfs")
    if azurite.find_azurite() is None:
        if os.environ.get("CI"):
            pytest.fail("azurite-blob is not installed")
        pytest.skip("azurite-blob is not installed: tests/services/install")
    with azurite.azurite() as connection:
        yield connection


@pytest.fixture(params=["gcs", "gcs-bucket", "azure", "azure-container"])
def storage(request: pytest.FixtureRequest) -> Any:
    name = f"flows-{uuid4().hex[:12]}"
    if request.param.startswith("gcs"):
        info = request.getfixturevalue("account")
        if request.param == "gcs":
            return GCS(bucket_path=f"{name}/base", service_account_info=json.dumps(info))
        return GcsBucket(bucket=name, gcp_credentials=GcpCredentials(service_account_info=info), bucket_folder="base")
    connection = request.getfixturevalue("azurite_connection")
    azurite.make_container(connection, name)
    if request.param == "azure":
        return Azure(bucket_path=f"{name}/base", azure_storage_connection_string=connection)
    return Azure(bucket_path="base", azure_storage_container=name, azure_storage_connection_string=connection)


def test_files_and_trees_go_there_and_come_back(storage: Any, tmp_path: Path) -> None:
    storage.write_path("a/b.bin", b"\x00one")
    storage.write_path("a/b.bin", b"\x00two")
    assert storage.read_path("a/b.bin") == b"\x00two"
    (tmp_path / "source" / "pkg").mkdir(parents=True)
    (tmp_path / "source" / "flow.py").write_text("f")
    (tmp_path / "source" / "pkg" / "a.py").write_text("a")
    assert storage.put_directory(str(tmp_path / "source"), "code/v1") == 2
    assert storage.get_directory("code/v1", str(tmp_path / "back")) == 2
    assert (tmp_path / "back" / "pkg" / "a.py").read_text() == "a"
    assert storage.check()[-1].ok


def test_a_path_where_nothing_is_raises_file_not_found(storage: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.read_path("no-such")
    with pytest.raises(FileNotFoundError, match="no-such"):
        storage.get_directory("no-such", str(tmp_path / "got"))


def test_a_check_says_that_a_bucket_is_missing(account: dict[str, str]) -> None:
    finding = GCS(bucket_path="no-such-bucket", service_account_info=json.dumps(account)).check()[-1]
    assert not finding.ok
    assert "no-such-bucket" in finding.said


def test_a_missing_bucket_or_container_is_named_by_reading_and_writing(
    account: dict[str, str], azurite_connection: str
) -> None:
    google = GCS(bucket_path="no-such-bucket/x", service_account_info=json.dumps(account))
    microsoft = Azure(bucket_path="no-such-container/x", azure_storage_connection_string=azurite_connection)
    for block, place in ((google, "gs://no-such-bucket"), (microsoft, "az://no-such-container")):
        for use in (lambda block=block: block.read_path("a"), lambda block=block: block.write_path("a", b"1")):
            with pytest.raises(FileNotFoundError, match=f"nothing at {place}/x/a: {place} does not exist"):
                use()


def test_a_key_that_azure_does_not_take_is_told_in_one_line_without_it(azurite_connection: str) -> None:
    wrong = base64.b64encode(b"x" * 64).decode()
    block = Azure(
        bucket_path="container/x", azure_storage_connection_string=azurite_connection.replace(azurite.KEY, wrong)
    )
    with pytest.raises(PermissionError, match=r"az://container/x/a may not be used: .*authenticat") as caught:
        block.read_path("a")
    assert "\n" not in str(caught.value)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("block", "fields", "words"),
    [
        (GCS, {"bucket_path": "gs://b/x"}, "do without gs://"),
        (GCS, {"bucket_path": "b", "service_account_info": "{"}, "is no JSON"),
        (GcsBucket, {"bucket": "b/x"}, "belongs into bucket_folder"),
        (Azure, {"bucket_path": "c"}, "Give either azure_storage_connection_string"),
        (
            Azure,
            {"bucket_path": "c", "azure_storage_account_name": "a", "azure_storage_client_id": "i"},
            "azure_storage_tenant_id and azure_storage_client_secret not given",
        ),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(block: Any, fields: dict[str, str], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        block(**fields)
