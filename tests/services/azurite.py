"""Azurite, which stands for Azure Blob Storage: from .venv-azurite, or from PATH. It is gone when the block ends."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.testing import wait_until

#: The account that every Azurite knows, with its key.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def find_azurite() -> str | None:
    """The path of azurite-blob, or None."""
    own = Path(__file__).parents[2] / ".venv-azurite" / "node_modules" / ".bin"
    return shutil.which("azurite-blob", path=f"{own}{os.pathsep}{os.environ.get('PATH', '')}")


@contextmanager
def azurite() -> Iterator[str]:
    """A connection string of a running one, empty. Raises FileNotFoundError if it is not installed."""
    program = find_azurite()
    if program is None:
        raise FileNotFoundError("azurite-blob is not installed")
    folder = Path(tempfile.mkdtemp(prefix="penstock-azurite-"))
    output = folder / "output"
    command = [program, "--blobPort", "0", "--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"]
    with output.open("w") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT) as process:
        try:
            wait_until(lambda: "listens on http://" in output.read_text(), timeout=120, message="azurite did not start")
            port = output.read_text().split("listens on http://127.0.0.1:")[1].split()[0]
            yield connection_string(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(120)
            shutil.rmtree(folder, ignore_errors=True)


def connection_string(url: str, key: str = KEY) -> str:
    """The connection string of the account behind `url`."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={url}/{ACCOUNT};"


def make_container(connection: str, name: str) -> None:
    from azure.storage.blob.aio import BlobServiceClient

    async def make() -> None:
        async with BlobServiceClient.from_connection_string(connection) as client:
            await client.create_container(name)

    asyncio.run(make())
