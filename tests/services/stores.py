"""One storage block of each type whose store runs here for the time of a test, saved on a test server."""

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import azurite
import google_storage
import pytest
import samba
import sshd

SECRET = "wJalrXUtnFEMI/K7MDENG"
PASSWORD = "Sesam-öffne-dich-4711"

#: What each type needs: packages, and programs with the way to look for them.
_NEEDS: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "local-file-system": ((), None, ""),
    "s3": (("s3fs", "moto", "boto3"), None, ""),
    "s3-bucket": (("s3fs", "moto", "boto3"), None, ""),
    "gcs": (("gcsfs", "gcp_storage_emulator"), None, ""),
    "gcs-bucket": (("gcsfs", "gcp_storage_emulator"), None, ""),
    "azure": (("adlfs",), azurite.find_azurite, "azurite-blob"),
    "smb": (("fsspec", "smbprotocol"), samba.find_smbd, "smbd (Debian's package samba)"),
    "remote-file-system": (("fsspec", "paramiko"), sshd.find_sshd, "sshd (Debian's package openssh-server)"),
}
TYPES = tuple(_NEEDS)


@dataclass
class Stores:
    """Starts each store when it is first asked for. `env` is what processes need to reach them, beyond their blocks."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _running: dict[str, Any] = field(default_factory=dict)

    def block(self, slug: str) -> Any:
        """A block of that type, on a folder or bucket of its own. Skips the test if its store is not installed here."""
        packages, find, program = _NEEDS[slug]
        missing = [name for name in packages if importlib.util.find_spec(name) is None]
        missing += [program] if find is not None and find() is None else []
        if missing:
            message = f"not installed: {', '.join(missing)} (tests/services/install)"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        made: Any = getattr(self, "_" + slug.replace("-", "_"))(f"flows-{uuid4().hex[:12]}")
        return made

    def _start(self, name: str, context: Any) -> Any:
        if name not in self._running:
            self._running[name] = self._stack.enter_context(context())
        return self._running[name]

    def _local_file_system(self, name: str) -> Any:
        from penstock.filesystems import LocalFileSystem

        return LocalFileSystem(basepath=self.folder / name)

    def _s3(self, name: str) -> Any:
        from penstock.filesystems import S3

        url = self._bucket(name)
        return S3(
            bucket_path=f"{name}/base", aws_access_key_id="AKIA1234", aws_secret_access_key=SECRET, endpoint_url=url
        )

    def _s3_bucket(self, name: str) -> Any:
        from penstock.blocks.credentials import AwsCredentials
        from penstock.filesystems import S3Bucket

        url = self._bucket(name)
        return S3Bucket(
            bucket_name=name,
            bucket_folder="base/",
            credentials=AwsCredentials(
                aws_access_key_id="AKIA1234",
                aws_secret_access_key=SECRET,
                region_name="us-east-1",
                aws_client_parameters={"endpoint_url": url},
            ),
        )

    def _bucket(self, name: str) -> str:
        import boto3

        url: str = self._start("s3", moto)
        boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
        ).create_bucket(Bucket=name)
        return url

    def _gcs(self, name: str) -> Any:
        from penstock.filesystems import GCS

        emulator = self._google(name)
        return GCS(bucket_path=f"{name}/base", service_account_info=json.dumps(emulator.account))

    def _gcs_bucket(self, name: str) -> Any:
        from penstock.blocks.credentials import GcpCredentials
        from penstock.filesystems import GcsBucket

        emulator = self._google(name)
        return GcsBucket(bucket=name, gcp_credentials=GcpCredentials(service_account_info=emulator.account))

    def _google(self, name: str) -> google_storage.Emulator:
        emulator: google_storage.Emulator = self._start("google", google_storage.emulator)
        self.env.update(emulator.env)
        emulator.make_bucket(name)
        return emulator

    def _azure(self, name: str) -> Any:
        from penstock.filesystems import Azure

        connection = self._start("azure", azurite.azurite)
        azurite.make_container(connection, name)
        return Azure(bucket_path=f"{name}/base", azure_storage_connection_string=connection)

    def _smb(self, name: str) -> Any:
        from penstock.filesystems import SMB

        server = self._start("smb", lambda: samba.samba(PASSWORD))
        return SMB(
            share_path=f"/flows/{name}",
            smb_host="127.0.0.1",
            smb_port=server.port,
            smb_username=server.username,
            smb_password=PASSWORD,
        )

    def _remote_file_system(self, name: str) -> Any:
        from penstock.filesystems import RemoteFileSystem

        server = self._start("sftp", sshd.sshd)
        return RemoteFileSystem(
            basepath=f"sftp://127.0.0.1:{server.port}{server.files}/{name}",
            settings={"username": server.username, "private_key": server.private_key, "host_key": server.host_key},
        )


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """None runs yet; those that were asked for are gone at the end."""
    found = Stores(folder)
    with found._stack:
        yield found


@contextmanager
def moto() -> Iterator[str]:
    """The address of an empty S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
