"""The example of a package that brings a type of blocks works as its page says, in an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.model.block_documents import BlockDocumentCreate
from penstock.model.block_schemas import BlockSchemaCreate
from penstock.testing import TestServer, server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "warehouse-block"
PAGE = ROOT / "docs" / "your-own-block.md"

#: The type as version 1 of the package had it.
VERSION_1 = {
    "title": "Warehouse",
    "type": "object",
    "properties": {
        "address": {"type": "string"},
        "user": {"type": "string"},
        "password": {"type": "string", "writeOnly": True, "format": "password"},
    },
    "required": ["address", "user", "password"],
    "block_type_slug": "warehouse",
    "secret_fields": ["password"],
    "block_schema_references": {},
}


def _uv() -> str:
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail("uv is not installed, and CI installs the example")
        pytest.skip("uv is not installed")
    return found


@dataclass(frozen=True)
class Place:
    """A fresh environment with the example in it, and a server."""

    bin: Path
    folder: Path
    server: TestServer

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """What the program of the environment writes to stdout; it has to end with that exit code."""
        env = {**self.server.env, "WAREHOUSE_PASSWORD": "hunter2", "PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = subprocess.run(
            [str(self.bin / program), *arguments], env=env, cwd=self.folder, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def penstock(self, *arguments: str, code: int = 0) -> str:
        return self.run("python", "-m", "penstock.cli", *arguments, code=code)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("warehouse")
    copy = folder / "warehouse-block"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    uv, fresh = _uv(), folder / "fresh"
    env = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    quiet = {"check": True, "env": env, "capture_output": True}
    subprocess.run([uv, "venv", "--offline", "--python", sys.executable, str(fresh)], **quiet)
    # Penstock and what it stands on are those of the environment that runs the tests: nothing is downloaded.
    packages = next((fresh / "lib").glob("python*/site-packages"))
    (packages / "penstock_under_test.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    python = str(fresh / "bin" / "python")
    command = [uv, "pip", "install", "--offline", "--no-deps", "--no-build-isolation", "--python", python, str(copy)]
    subprocess.run(command, **quiet)
    with server() as running:
        yield Place(fresh / "bin", folder, running)


def test_the_package_announces_its_type_where_it_is_installed(place: Place):
    names = "from penstock.blocks.registry import known_slugs; print(*known_slugs())"
    assert "warehouse" in place.run("python", "-c", names).split()
    here = subprocess.run([sys.executable, "-c", names], check=True, capture_output=True, text=True).stdout
    assert "warehouse" not in here.split()


def test_it_is_registered_saved_by_the_command_line_and_loaded_by_python(place: Place):
    assert place.penstock("block", "register", "-m", "warehouse_block", "-o", "name") == "warehouse\n"
    assert "The port it listens on." in place.penstock("block", "type", "inspect", "warehouse")
    values = ("host=127.0.0.1", "port=1", "user=etl", "password=${env:WAREHOUSE_PASSWORD}")
    place.penstock("block", "create", "warehouse", "--name", "nightly", *values)
    loading = 'from warehouse_block import Warehouse; print(Warehouse.load("nightly").url())'
    assert place.run("python", "-c", loading) == "postgresql://etl:hunter2@127.0.0.1:1/\n"
    assert "hunter2" not in place.penstock("block", "inspect", "warehouse/nightly", "-o", "json")
    assert "connecting to 127.0.0.1:1" in place.penstock("block", "check", "warehouse/nightly", code=7)


def test_a_block_of_version_1_is_loaded_and_brought_up_to_date(place: Place):
    place.penstock("block", "register", "-m", "warehouse_block")
    with place.server.client() as client:
        type_id = client.read_block_type_by_slug("warehouse").id
        schema = client.create_block_schema(BlockSchemaCreate(fields=VERSION_1, block_type_id=type_id, version="1"))
        data = {"address": "db:6543", "user": "etl", "password": "hunter2"}
        client.create_block_document(
            BlockDocumentCreate(name="old", data=data, block_schema_id=schema.id, block_type_id=type_id)
        )
        loading = 'from warehouse_block import Warehouse; print(Warehouse.load("old").url())'
        assert place.run("python", "-c", loading) == "postgresql://etl:hunter2@db:6543/\n"
        said = place.penstock("block", "check", "warehouse/old", "--fix", code=7)
        assert "saved anew" in said
        saved = client.read_block_document_by_name("old", "warehouse", include_secrets=True)
    assert saved.data == {"host": "db", "port": 6543, "user": "etl", "password": "hunter2"}


def test_the_packages_own_tests_pass(place: Place):
    tests = str(place.folder / "warehouse-block")
    said = place.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tests, tests)
    assert " passed" in said


def test_the_page_shows_the_class_as_it_is():
    code = (EXAMPLE / "src" / "warehouse_block" / "__init__.py").read_text()
    pyproject = (EXAMPLE / "pyproject.toml").read_text()
    blocks = [block.split("```")[0] for block in PAGE.read_text().split("```python\n")[1:]]
    for line in [line for line in blocks[0].splitlines() if line]:
        assert line.strip() in code
    for line in PAGE.read_text().split("```toml\n")[1].split("```")[0].splitlines():
        assert line in pyproject
