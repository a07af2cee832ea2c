"""Fifty planted secrets, in every place where a secret may stand, are searched for in everything that is kept, shown or told."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from postgresql import cluster, find_binaries

if TYPE_CHECKING:
    from conftest import World

KEY = "the-servers-key"
PENSTOCK = str(Path(sys.executable).parent / "penstock")
SOURCE = """
from penstock.blocks.system import Secret

@flow
def main():
    secret = Secret.load("by-name")
    get_run_logger().info("loaded %s %r %s", secret, secret, len(secret.get()))
    import httpx_is_not_needed_for_this  # the run fails, and its traceback is logged
"""


def call(url: str, method: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    """Status and JSON of one request; a text is sent as it is."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    data = None if text is None else text.encode()
    request = Request(url, data, {**headers, "Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request, timeout=240) as answer:
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else None
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


class Planter:
    """Makes values that are found wherever they turn up."""

    def __init__(self) -> None:
        self.values: list[str] = []

    def __call__(self) -> str:
        value = f"plnt{len(self.values):02}x{uuid4().hex[:10]}"
        self.values.append(value)
        return value


@pytest.fixture(params=["sqlite", "postgresql"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path, make_world: Callable[..., Any]) -> "Iterator[World]":
    env = {"PENSTOCK_SERVER_API_KEY": KEY, "PENSTOCK_LOGGING_SERVER_LEVEL": "DEBUG", "PENSTOCK_LOGGING_LEVEL": "DEBUG"}
    if request.param == "sqlite":
        with make_world(tmp_path / "world", env=env) as world:
            yield world
        return
    if find_binaries() is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail("PostgreSQL is not installed, and CI tests both databases")
        pytest.skip("PostgreSQL is not installed")
    with cluster() as running, make_world(tmp_path / "world", env=env, database_url=running.create_database()) as world:
        yield world


FIELDS = {
    "title": "Safe",
    "properties": {
        "secret": {"type": "string", "writeOnly": True},
        "inner": {"type": "object", "properties": {"token": {"type": "string", "format": "password"}}},
        "many": {
            "type": "array",
            "items": {"type": "object", "properties": {"pin": {"type": "string", "writeOnly": True}}},
        },
        "bag": {"type": "object", "additionalProperties": {"type": "string", "writeOnly": True}},
        "env": {"type": "object"},
        "containers": {"type": "array"},
        "basepath": {"type": "string"},
        "settings": {"type": "object"},
        "port": {"type": "integer"},
    },
    "secret_fields": ["secret"],
}


def _data(plant: Planter) -> dict[str, Any]:
    return {
        "secret": plant(),
        "inner": {"token": plant()},
        "many": [{"pin": plant()}, {"pin": plant()}],
        "bag": {"a": plant(), "b": plant()},
        "env": {"DB_PASSWORD": plant(), "LEVEL": "debug", "SERVICE_TOKEN": plant()},
        "containers": [{"env": [{"name": "API_KEY", "value": plant()}]}],
        "basepath": f"s3://me:{plant()}@bucket/folder",
        "settings": {"endpoints": [f"https://{plant() * 2}@git.example/code.git"]},
    }


def test_no_planted_secret_is_found_anywhere(guarded: "World", tmp_path: Path):
    plant, said = Planter(), []

    def api(method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
        status, answer = call(guarded.server.api_url + path, method, body, {"Authorization": f"Bearer {key}"})
        said.append(json.dumps(answer))
        return status, answer

    slug = f"safe-{uuid4().hex[:6]}"
    type_id = api("POST", "/block_types/", {"name": "Safe", "slug": slug})[1]["id"]
    schema_id = api("POST", "/block_schemas/", {"fields": FIELDS, "block_type_id": type_id})[1]["id"]
    ids = {"block_type_id": type_id, "block_schema_id": schema_id}

    def save(name: str, data: dict[str, Any], **more: Any) -> tuple[int, Any]:
        return api("POST", "/block_documents/", {"name": name, "data": data, **ids, **more})

    # saved, changed, listed
    status, saved = save("first", _data(plant))
    assert status == 201, saved
    assert (
        api("PATCH", f"/block_documents/{saved['id']}", {"data": {"secret": plant(), "env": {"A_TOKEN": plant()}}})[0]
        == 204
    )
    assert save("outer", {"inner": {"$ref": {"block_document_id": saved["id"]}}, "bag": {"c": plant()}})[0] == 201
    assert api("POST", "/block_documents/filter", {})[0] == 200
    # refused: taken, unfit, unknown, with masks, of a wrong shape, unreadable, nowhere
    assert save("first", _data(plant))[0] == 409
    assert save("bad", {**_data(plant), "port": plant()})[0] == 422
    assert save("bad", {"sekret": plant()})[0] == 422
    assert save("bad", {"secret": {"deep": plant()}})[0] == 422
    assert save("Bad Name", _data(plant))[0] == 422
    assert save("bad", _data(plant), nonsense=plant())[0] == 422
    assert api("POST", "/block_documents/", {"name": "x", "data": plant(), **ids})[0] == 422
    assert api("PATCH", f"/block_documents/{saved['id']}", {"data": [plant()]})[0] == 422
    assert api("PATCH", f"/block_documents/{uuid4()}", {"data": {"secret": plant()}})[0] == 404
    assert (
        call(guarded.server.api_url + "/block_documents/", "POST", f'{{"data": {{"secret": "{plant()}", ', {})[0] == 401
    )
    raw = {"Authorization": f"Bearer {KEY}"}
    status, answer = call(
        guarded.server.api_url + "/block_documents/", "POST", f'{{"data": {{"secret": "{plant()}", ', raw
    )
    said.append(json.dumps(answer))
    assert status == 422
    # failed: the database itself says no
    _let_fail(guarded, "boom")
    assert save("boom", _data(plant))[0] == 500
    # a run whose infrastructure carries secrets, which loads a block by name and fails
    secret_type = api("GET", "/block_types/slug/secret")[1]["id"]
    asked = {"block_schemas": {"block_type_id": {"any_": [secret_type]}}}
    secret_schema = api("POST", "/block_schemas/filter", asked)[1][0]["id"]
    body = {
        "name": "by-name",
        "data": {"value": plant()},
        "block_type_id": secret_type,
        "block_schema_id": secret_schema,
    }
    assert api("POST", "/block_documents/", body)[0] == 201
    from penstock.deployments import Deployment
    from penstock.infrastructure.process.config import Process

    block = Process(env={"JOB_PASSWORD": plant(), "LEVEL": "debug"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_API_URL", guarded.server.api_url)
        patch.setenv("PENSTOCK_API_KEY", KEY)
        block_id: UUID = block.save("jobs")
        exported = tmp_path / "deployment.yaml"
        unsaved = Process(env={"JOB_PASSWORD": plant()})
        Deployment(name="exported", flow_name="f", infrastructure=unsaved).to_yaml(exported)
    deployment = guarded.deploy(SOURCE, infrastructure_document_id=block_id)
    guarded.agent("-q", "queue", env={"PENSTOCK_API_KEY": KEY})
    run = guarded.run(deployment)
    ended = guarded.wait_for(run)
    assert ended.state_name == "Failed", guarded.story(run)
    for path in (
        f"/flow_runs/{run.id}",
        f"/flow_runs/{run.id}/attempts",
        f"/flow_runs/{run.id}/explain",
        f"/deployments/{deployment.id}",
    ):
        assert api("GET", path)[0] == 200
    assert api("POST", "/logs/filter", {})[0] == 200
    assert any("loaded" in line for line in guarded.logs(run))

    assert len(plant.values) >= 50
    places = {f"answer {number}": text for number, text in enumerate(said)}
    places["exported deployment"] = exported.read_text()
    assert "JOB_PASSWORD" in places["exported deployment"]
    for command in (
        ("block", "inspect", f"{slug}/first"),
        ("block", "ls"),
        ("deployment", "inspect", str(deployment.id)),
    ):
        env = {**guarded.server.env, "PENSTOCK_API_KEY": KEY}
        done = subprocess.run([PENSTOCK, *command], env=env, capture_output=True, text=True, check=False)
        places[" ".join(command)] = done.stdout + done.stderr
    places["dump of the database"] = _dump(guarded, tmp_path)
    for folder, _, names in os.walk(guarded.server.home):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):  # the agent and its launcher go on, and clear away
                if path.is_file() and not path.is_symlink():
                    places[str(path)] = path.read_bytes().decode(errors="replace")
    assert "Started server process" in guarded.server.output  # told below WARNING only
    found = [
        (name, number) for name, text in places.items() for number, value in enumerate(plant.values) if value in text
    ]
    assert not found


def _engine(world: "World") -> sa.Engine:
    url = (
        world.server.env.get("PENSTOCK_API_DATABASE_CONNECTION_URL") or f"sqlite:///{world.server.home / 'penstock.db'}"
    )
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)


def _let_fail(world: "World", name: str) -> None:
    """Inserts of a block document of that name fail, in a way that nobody has foreseen."""
    engine = _engine(world)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER TABLE block_document ADD CONSTRAINT no_{name} CHECK (name <> '{name}')")
        else:
            connection.exec_driver_sql(
                f"CREATE TRIGGER no_{name} BEFORE INSERT ON block_document WHEN NEW.name = '{name}' "
                "BEGIN SELECT RAISE(FAIL, 'no'); END"
            )
    engine.dispose()


def _dump(world: "World", folder: Path) -> str:
    engine = _engine(world)
    if engine.dialect.name == "sqlite":
        connection = sqlite3.connect(str(engine.url.database))
        text = "\n".join(connection.iterdump())
        connection.close()
        return text
    binaries = find_binaries()
    program = shutil.which("pg_dump") or str(binaries and binaries / "pg_dump")
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return subprocess.run([program, url], capture_output=True, text=True, check=True).stdout


def test_the_credential_of_an_attempt_shows_blocks_one_by_one(
    tmp_path: Path, make_world: "Callable[..., AbstractContextManager[World]]"
):
    source = """
import os
from penstock.blocks.system import Secret
from penstock.client import block_documents, block_types, block_keys, get_sync_client

@flow
def main():
    assert "PENSTOCK_API_KEY" not in os.environ
    mark("loaded", Secret.load("by-name").get())
    Secret(value="second").save("by-name", overwrite=True)
    with get_sync_client() as client:
        for call in (
            block_documents.read_block_documents(include_secrets=True),
            block_types.read_block_documents_by_type("secret", include_secrets=True),
            block_keys.rotate_block_keys(),
            block_keys.drop_old_block_keys(),
        ):
            try:
                client.send(call)
            except Exception as error:
                mark("refused", str(error.code))
        listed = client.send(block_documents.read_block_documents())
        mark("listed", *[str(document.data) for document in listed if document.name == "by-name"])
"""
    with make_world(tmp_path / "world", env={"PENSTOCK_SERVER_API_KEY": KEY}) as world:
        from penstock.blocks.system import Secret

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PENSTOCK_API_URL", world.server.api_url)
            patch.setenv("PENSTOCK_API_KEY", KEY)
            Secret(value="first").save("by-name")  # type: ignore[arg-type]
            deployment = world.deploy(source)
            world.agent("-q", "queue", env={"PENSTOCK_API_KEY": KEY})
            run = world.run(deployment)
            assert world.wait_for(run).state_name == "Completed", world.story(run)
            assert Secret.load("by-name").get() == "second"
        assert "first" in str(world.marked("loaded"))
        refused = str(world.marked("refused"))
        assert refused.count("secrets_one_by_one") == 2
        assert len(world.marked("refused")) == 4
        assert "********" in str(world.marked("listed"))
        assert "second" not in str(world.marked("listed"))
