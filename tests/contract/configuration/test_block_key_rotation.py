"""New keys for the secrets of blocks, while others go on saving."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from block_server import Served, Vaults, served
from cryptography.fernet import Fernet
from wire import Api

from penstock.testing import server

PENSTOCK = str(Path(sys.executable).parent / "penstock")


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Served]:
    env = {"PENSTOCK_SERVER_KEY_FILE": str(tmp_path / "keys" / "server.key")}
    with served(database_url, env=env) as found:
        yield found


def _ring(place: Served) -> list[str]:
    found: list[str] = json.loads(Path(place.server.env["PENSTOCK_SERVER_KEY_FILE"]).read_text())["ring"]
    return found


def _rotate(place: Served, *options: str) -> Any:
    command = [PENSTOCK, "block", "rotate-keys", "-o", "json", *options]
    done = subprocess.run(command, env=place.server.env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_every_secret_is_sealed_anew_and_the_old_key_dropped(place: Served):
    vaults = Vaults(place.api)
    documents = [vaults.saved(f"n-{n}", {"password": f"pw-{n}", "user": "s3://u:pw@h"}) for n in range(7)]
    old = _ring(place)
    told, progress = _rotate(place, "--batch", "3", "--drop-old")
    assert (told["sealed"], told["failed"], len(told["dropped"])) == (7, [], 1)
    assert "3 blocks sealed, 4 to go." in progress
    assert len(_ring(place)) == 1
    assert _ring(place) != old
    for n, document in enumerate(documents):
        assert vaults.read(document, secrets=True).body["data"] == {"password": f"pw-{n}", "user": "s3://u:pw@h"}


def test_a_rotation_that_was_interrupted_is_finished_with_its_key(place: Served):
    vaults = Vaults(place.api)
    for n in range(5):
        vaults.saved(f"n-{n}", {"password": "pw"})
    first = place.api.post("/block_documents/rotate-keys", {"new_key": True, "limit": 2}).body
    assert (first["made"], first["sealed"], first["remaining"]) == (True, 2, 3)
    place.server.kill()
    place.server.start()
    with Api(place.server.api_url) as api:
        second = api.post("/block_documents/rotate-keys", {"new_key": True, "limit": 1000}).body
    assert (second["made"], second["key"], second["sealed"], second["remaining"]) == (False, first["key"], 3, 0)
    assert second["cursor"] is None
    assert len(_ring(place)) == 2


def test_what_is_saved_during_rotations_is_never_lost(place: Served):
    """Two servers on one database; one saves and changes without a pause while the other rotates and drops keys."""
    vaults = Vaults(place.api)
    over, written, failures = threading.Event(), {}, []
    with server(database_url=place.url, env={k: v for k, v in place.server.env.items() if "KEY_FILE" in k}) as second:

        def save(worker: int) -> None:
            with Api(second.api_url) as api:
                mine = Vaults.__new__(Vaults)
                mine.__dict__ = {**vaults.__dict__, "api": api}
                for n in range(10_000):
                    name = f"w{worker}-{n % 10}"
                    if name not in written:
                        written[name] = (mine.saved(name, {"password": str(n)}), str(n))
                    else:
                        document, _ = written[name]
                        answer = mine.change(document, {"password": str(n)})
                        if answer.status != 204:
                            failures.append(answer)
                        written[name] = (document, str(n))
                    if over.is_set():
                        return

        threads = [threading.Thread(target=save, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 150
            rotations = 0
            while rotations < 5 or (len(written) < 12 and time.monotonic() < deadline):
                rotations += 1
                cursor = None
                body: dict[str, Any] = {"new_key": True, "limit": 7}
                while True:
                    step = place.api.post("/block_documents/rotate-keys", {**body, "cursor": cursor})
                    assert step.status == 200, step
                    cursor, body = step.body["cursor"], {"limit": 7}
                    if cursor is None:
                        break
                dropped = place.api.post("/block_documents/drop-old-keys")
                assert dropped.status == 200, dropped
        finally:
            over.set()
            for thread in threads:
                thread.join()
    assert not failures
    assert len(written) >= 12
    for document, value in written.values():
        answer = vaults.read(document, secrets=True)
        assert answer.status == 200, answer
        assert answer.body["data"] == {"password": value}


def test_what_was_stored_in_clear_is_sealed_on_the_way(place: Served):
    vaults = Vaults(place.api)
    document = vaults.saved("mine", {"env": {"LEVEL": "x"}})
    place.edit(
        "UPDATE block_document SET data = :data WHERE id = :id", data='{"env": {"DB_PASSWORD": "hush"}}', id=document
    )
    told, _ = _rotate(place)
    assert told["sealed"] == 1
    assert "hush" not in str(place.select("SELECT data FROM block_document WHERE id = :id", id=document))
    assert vaults.read(document, secrets=True).body["data"] == {"env": {"DB_PASSWORD": "hush"}}


def test_a_document_that_cannot_be_unsealed_is_told_and_keeps_its_key(place: Served):
    vaults = Vaults(place.api)
    vaults.saved("well", {"password": "pw"})
    hurt = vaults.saved("hurt", {"password": "pw"})
    found = place.select("SELECT sealed FROM block_document WHERE id = :id", id=hurt)
    sealed = json.loads(found) if isinstance(found, str) else found
    value = json.dumps({**sealed, "token": "nonsense"})
    place.edit("UPDATE block_document SET sealed = :value WHERE id = :id", value=value, id=hurt)
    command = [PENSTOCK, "block", "rotate-keys", "--drop-old"]
    done = subprocess.run(command, env=place.server.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{vaults.slug}/hurt: data.password" in done.stderr
    assert len(_ring(place)) == 2, "the key that the damaged document needs is kept"


def test_keys_of_a_setting_are_changed_by_their_owner_alone(database_url: str):
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with served(database_url, env={"PENSTOCK_SERVER_KEYS": first}) as place:
        vaults = Vaults(place.api)
        document = vaults.saved("mine", {"password": "pw"})
        place.server.stop()
        place.server.env["PENSTOCK_SERVER_KEYS"] = f"{second},{first}"
        place.server.start()
        told, _ = _rotate(place)
        assert told["sealed"] == 1
        with Api(place.server.api_url) as api:
            refused = api.post("/block_documents/drop-old-keys")
            assert (refused.status, refused.body["code"]) == (409, "keys_not_in_file")
        place.server.stop()
        place.server.env["PENSTOCK_SERVER_KEYS"] = second
        place.server.start()
        with Api(place.server.api_url) as api:
            assert api.get(f"/block_documents/{document}?include_secrets=true").body["data"] == {"password": "pw"}


def test_a_server_without_usable_keys_does_not_start_and_says_why(tmp_path: Path):
    env = {
        **os.environ,
        "PENSTOCK_HOME": str(tmp_path),
        "PENSTOCK_SERVER_KEY_COMMAND": "sh -c 'echo no vault >&2; exit 3'",
    }
    command = [sys.executable, "-m", "penstock.server", "--port", "0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 1
    assert "PENSTOCK_SERVER_KEY_COMMAND ended with 3: no vault" in done.stderr
