"""Bundles on the wire, on both databases: taken whole or not at all, given to whom they belong, kept while they are used."""

import gzip
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from wire import Answer, Api

from penstock import clock
from penstock.model.bundles import PART_SIZE, BundleOffer
from penstock.server.database import tables as t
from penstock.server.database.connection import Database
from penstock.server.operations.delete_bundle import remove_unused_bundles
from penstock.server.operations.store_bundle import add_bundle_part, finish_bundle
from penstock.testing import server


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def send(api: Api, content: bytes, archive: bytes | None = None, **query: Any) -> Answer:
    """Upload `content`, or the bytes that are to stand for it."""
    asked = {"digest": digest_of(content), "files": 1, "size": len(content), **query}
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=180)
    try:
        body = gzip.compress(content, mtime=0) if archive is None else archive
        connection.request("POST", f"{parts.path}/bundles/?{urlencode(asked)}", body, api.headers)
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()), response.headers)
    finally:
        connection.close()


def fetch(api: Api, digest: str, **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(api.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=180)
    try:
        shown = api.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request("GET", f"{parts.path}/bundles/{digest}", headers=shown)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def code(*, size: int = 100) -> bytes:
    """What no other test has sent."""
    return os.urandom(size)


@pytest.mark.parametrize("size", [0, 1, PART_SIZE, 3 * PART_SIZE + 7])
def test_what_was_sent_is_what_is_fetched(api: Api, size: int) -> None:
    content = code(size=size) if size else b""
    offer = {"digest": digest_of(content), "files": 1, "size": size, "project": "airports"}
    sent = send(api, content, project="airports")
    assert sent.status in ({201} if size else {200, 201})
    assert {key: sent.body[key] for key in offer} == offer
    status, archive = fetch(api, offer["digest"])
    assert (status, len(archive)) == (200, sent.body["archive_size"])
    assert gzip.decompress(archive) == content


def test_what_the_server_has_need_not_be_sent(api: Api) -> None:
    content = code()
    offer = {"digest": digest_of(content), "files": 1, "size": len(content)}
    assert api.post("/bundles/offer", offer).body == {"bundle": None}
    first = send(api, content)
    assert api.post("/bundles/offer", offer).body["bundle"]["id"] == first.body["id"]
    again = send(api, content)
    assert (first.status, again.status, again.body["id"]) == (201, 200, first.body["id"])
    assert api.call("HEAD", f"/bundles/{offer['digest']}").status == 200


WRONG = {
    "other content": (gzip.compress(b"other"), "bundle_digest_wrong"),
    "no gzip file": (b"plain text", "bundle_digest_wrong"),
    "half of it": (gzip.compress(b"x" * 1000, mtime=0)[:-9], "bundle_digest_wrong"),
    "something behind it": (gzip.compress(b"x" * 1000, mtime=0) + b"more", "bundle_digest_wrong"),
    "nothing": (b"", "bundle_digest_wrong"),
    "far more than was said": (gzip.compress(b"\0" * 5_000_000, mtime=0), "bundle_too_large"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_archive_that_is_not_what_its_digest_says_is_refused_and_leaves_nothing(api: Api, wrong: str) -> None:
    archive, reason = WRONG[wrong]
    content = b"x" * 1000
    before = api.post("/bundles/filter", {}).body
    answer = send(
        api, content, archive, digest="sha256:" + "7" * 64 if wrong == "other content" else digest_of(content)
    )
    assert (answer.status, answer.body["code"]) == (413 if reason == "bundle_too_large" else 422, reason)
    assert api.post("/bundles/filter", {}).body == before
    assert fetch(api, digest_of(content))[0] == 404


def test_one_that_is_too_large_is_refused_before_it_is_sent() -> None:
    with server(env={"PENSTOCK_BUNDLE_LIMIT_MB": "1"}) as running, Api(running.api_url) as api:
        offer = {"digest": digest_of(b"x"), "files": 1, "size": 2_000_000}
        answer = api.post("/bundles/offer", offer)
        assert (answer.status, answer.body["code"]) == (413, "bundle_too_large")
        assert "2 MB" in answer.body["message"]
        assert "1 MB at most" in answer.body["message"]
        assert "PENSTOCK_BUNDLE_LIMIT_MB" in answer.body["hint"]


@pytest.mark.parametrize("digest", ["sha256:abc", "md5:" + "0" * 64, "sha256:" + "Z" * 64])
def test_what_is_no_digest_is_refused(api: Api, digest: str) -> None:
    assert api.get(f"/bundles/{digest}/details").status == 422
    assert api.post("/bundles/offer", {"digest": digest, "files": 1, "size": 1}).status == 422


def test_bundles_are_listed_newest_first_and_found_by_the_beginning_of_their_digest(api: Api) -> None:
    digests = [send(api, code()).body["digest"] for _ in range(3)]
    listed = [row["digest"] for row in api.post("/bundles/filter", {"limit": 3}).body]
    assert listed == digests[::-1]
    for prefix in (digests[0][:19], digests[0][7:19]):
        assert [row["digest"] for row in api.post("/bundles/filter", {"digest_prefix": prefix}).body] == [digests[0]]
    assert api.post("/bundles/filter", {"digest_prefix": "%"}).body == []


def deploy(api: Api, digest: str, name: str = "deployed", queue: str | None = None) -> dict[str, Any]:
    kind = api.get("/block_types/slug/bundle").body
    schema = api.post("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}).body[0]
    document = api.post(
        "/block_documents/",
        {
            "block_type_id": kind["id"],
            "block_schema_id": schema["id"],
            "data": {"digest": digest, "files": 1, "size": 1},
            "is_anonymous": True,
        },
    )
    assert document.status == 201, document
    fields = {"storage_document_id": document.body["id"], "work_queue_name": queue or f"q-{uuid4()}"}
    made = api.post("/deployments/", {"name": name, "flow_id": api.flow(), **fields})
    assert made.status == 201, made
    deployment: dict[str, Any] = made.body
    return deployment


def launch(api: Api, deployment: dict[str, Any]) -> tuple[str, str]:
    """A run of the deployment whose engine has presented its token; returns the attempt's id and what it shows."""
    assert api.post(f"/deployments/{deployment['id']}/create_flow_run", {}).status == 201
    agent = str(uuid4())
    poll = {"agent_id": agent, "request_id": str(uuid4()), "name": "a", "work_queues": [deployment["work_queue_name"]]}
    (claim,) = api.post("/agents/poll", {**poll, "capacity": 1, "wait_seconds": 10}).body["claims"]
    attempt = claim["attempt"]["id"]
    intent = {"agent_id": agent, "job_name": f"job-{attempt}", "reach": "here", "infrastructure_type": "process"}
    assert api.post(f"/attempts/{attempt}/intent", intent).status == 200
    shown = {"token": claim["token"], "instance_id": str(uuid4())}
    presented = api.post(f"/attempts/{attempt}/present", shown)
    assert (presented.status, presented.body["storage"]["slug"]) == (200, "bundle")
    return attempt, f"{attempt}:{claim['token']}"


@contextmanager
def keyed() -> Iterator[Api]:
    key = "the-key"
    with (
        server(env={"PENSTOCK_SERVER_API_KEY": key}) as running,
        Api(running.api_url, {"Authorization": f"Bearer {key}"}) as api,
    ):
        yield api


@contextmanager
def unkeyed() -> Iterator[Api]:
    with server() as running, Api(running.api_url) as api:
        yield api


@pytest.mark.parametrize("make", [keyed, unkeyed])
def test_a_token_opens_the_bundle_of_its_own_run_and_no_other(make: Any) -> None:
    with make() as owner, Api(owner.url) as engine:
        mine, other = send(owner, code()).body["digest"], send(owner, code()).body["digest"]
        _, token = launch(owner, deploy(owner, mine))
        _, others = launch(owner, deploy(owner, other))
        assert fetch(engine, mine, X_Penstock_Attempt=token)[0] == 200
        for shown in (others, f"{token.partition(':')[0]}:made-up"):
            status, body = fetch(engine, mine, X_Penstock_Attempt=shown)
            assert status in (401, 403), body
            assert b"bundle_not_yours" in body or b"attempt_token_wrong" in body
        assert fetch(engine, mine)[0] == (401 if owner.headers else 200)
        for method, path in (
            ("DELETE", f"/bundles/{mine}"),
            ("POST", "/bundles/filter"),
            ("GET", f"/bundles/{mine}/details"),
        ):
            if owner.headers:
                assert engine.call(method, path, X_Penstock_Attempt=token).status == 401, path


def test_a_run_may_fetch_what_it_was_told_to_fetch_when_the_deployment_has_other_code_meanwhile(api: Api) -> None:
    old, new = send(api, code()).body["digest"], send(api, code()).body["digest"]
    deployment = deploy(api, old)
    _, token = launch(api, deployment)
    document = deployment["storage_document_id"]
    changed = api.call("PATCH", f"/block_documents/{document}", {"data": {"digest": new, "files": 1, "size": 1}})
    assert changed.status == 204, changed
    assert fetch(api, old, X_Penstock_Attempt=token)[0] == 200
    assert fetch(api, new, X_Penstock_Attempt=token)[0] == 403


def test_a_bundle_that_is_used_cannot_be_deleted_and_says_by_whom(api: Api) -> None:
    digest = send(api, code()).body["digest"]
    deployment = deploy(api, digest, "nightly")
    refused = api.call("DELETE", f"/bundles/{digest}")
    assert (refused.status, refused.body["code"]) == (409, "bundle_in_use")
    assert "/nightly" in refused.body["message"]
    (user,) = api.get(f"/bundles/{digest}/details").body["deployments"]
    assert (user["id"], user["name"]) == (deployment["id"], "nightly")
    attempt, token = launch(api, deployment)
    assert api.call("DELETE", f"/deployments/{deployment['id']}").status == 204
    assert "run that is not over" in api.call("DELETE", f"/bundles/{digest}").body["message"]
    over = {"status": "ENDED", "observed_at": clock.now().isoformat(), "exit": {"code": 0}}
    report = {"attempt_id": attempt, "agent_id": api.get(f"/attempts/{attempt}").body["agent_id"], "observation": over}
    assert api.post("/attempts/reports", {"reports": [report]}).status == 200
    status, body = fetch(api, digest, X_Penstock_Attempt=token)
    assert (status, json.loads(body)["code"]) == (409, "attempt_superseded")
    assert api.call("DELETE", f"/bundles/{digest}").status == 204
    assert fetch(api, digest)[0] == 404
    assert api.call("DELETE", f"/bundles/{digest}").status == 404


def kept(database: Database, content: bytes = b"x", parts: int = 1) -> UUID:
    upload = uuid4()
    for number in range(parts):
        database.submit_write(add_bundle_part, upload, number, content).result(60)
    offer = BundleOffer(digest=digest_of(upload.bytes), files=1, size=1)
    database.submit_write(finish_bundle, upload, offer, len(content)).result(60)
    return upload


def rows(database: Database, column: sa.Column[Any]) -> set[Any]:
    return set(database.submit_write(lambda tx: tx.execute(sa.select(column)).scalars().all()).result(60))


def test_what_one_server_took_another_one_of_the_same_database_gives(database_url: str) -> None:
    content = code()
    with (
        server(database_url=database_url) as first,
        server(database_url=database_url) as second,
        Api(first.api_url) as taking,
        Api(second.api_url) as giving,
    ):
        digest = send(taking, content).body["digest"]
        assert gzip.decompress(fetch(giving, digest)[1]) == content


def test_bundles_that_nobody_uses_go_after_their_days_with_their_parts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = kept(database, parts=3)
    later = clock.now() + timedelta(days=10)
    monkeypatch.setattr(clock, "now", lambda: later)
    young = kept(database)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 0
    later += timedelta(days=5)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 1
    assert rows(database, t.bundle.c.id) == {young}
    assert rows(database, t.bundle_part.c.bundle_id) == {young}
    assert old not in rows(database, t.bundle.c.id)


def test_an_upload_that_was_never_finished_goes_after_a_day(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = kept(database), uuid4()
    database.submit_write(add_bundle_part, half, 0, b"x").result(60)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 0
    later = clock.now() + timedelta(hours=25)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 1
    assert rows(database, t.bundle_part.c.bundle_id) == {whole}


def test_a_bundle_that_is_used_stays_however_long_and_its_days_begin_when_nobody_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = kept(database)
    digest = digest_of(used.bytes)
    now = clock.now()
    in_use = {digest}
    monkeypatch.setattr("penstock.server.operations.delete_bundle.used_digests", lambda tx: in_use)
    monkeypatch.setattr(clock, "now", lambda: now)
    for _ in range(3):
        now += timedelta(days=10)
        assert database.submit_write(remove_unused_bundles, 14).result(60) == 0
    in_use.clear()
    now += timedelta(days=13)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 0
    now += timedelta(days=2)
    assert database.submit_write(remove_unused_bundles, 14).result(60) == 1
