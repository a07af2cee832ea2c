"""Figures about saved blocks: what their lists cost when there are many."""

import time
from collections.abc import Iterator
from typing import Any

from bench import peer as peers
from bench.measure import Figure, percentile
from penstock import testing
from penstock.testing import TestServer

#: Raw requests, so that what is measured is the server: (what, method, path, body).
_QUERIES: tuple[tuple[str, str, str, dict[str, Any] | None], ...] = (
    ("newest page, by name", "POST", "/block_documents/filter", {"limit": 50}),
    ("by type and name", "POST", "/block_documents/filter", {"limit": 50, "sort": "BLOCK_TYPE_AND_NAME_ASC"}),
    (
        "the last page, by type and name",
        "POST",
        "/block_documents/filter",
        {"limit": 50, "sort": "BLOCK_TYPE_AND_NAME_ASC", "offset": 9_950},
    ),
    ("search in names", "POST", "/block_documents/filter", {"limit": 50, "block_documents": {"name": {"like_": "99"}}}),
    (
        "of types that can run jobs",
        "POST",
        "/block_documents/filter",
        {"limit": 50, "block_schemas": {"block_capabilities": {"all_": ["run-infrastructure"]}}},
    ),
    ("a full page of 200", "POST", "/block_documents/filter", {"limit": 200}),
    ("count", "POST", "/block_documents/count", {}),
    ("one by name", "GET", "/block_types/slug/secret/block_documents/name/block-1000?include_secrets=true", None),
)


def blocks(peer: peers.Peer | None, *, documents: int = 10_000, **_: Any) -> Iterator[Figure]:
    with testing.server() as server:
        took = _save(server, documents)
        with server.client() as client:
            for name, method, path, body in _QUERIES:
                samples = []
                for _ in range(60):
                    start = time.perf_counter()
                    client.request(method, path, body)
                    samples.append(time.perf_counter() - start)
                p95 = percentile(samples, 0.95) * 1000
                yield Figure(f"blocks, {name}, {documents:,} saved: p95", p95, "ms", "<= 50", p95 <= 50)
            yield Figure("blocks saved, secret sealed", documents / took, "/s")
            start, cursor = time.perf_counter(), None
            while True:
                step = client.request(
                    "POST", "/block_documents/rotate-keys", {"new_key": cursor is None, "cursor": cursor}
                )
                cursor = step["cursor"]
                if cursor is None:
                    break
            yield Figure("blocks sealed anew with another key", documents / (time.perf_counter() - start), "/s")


def _save(server: TestServer, documents: int) -> float:
    """Save secrets and processes in turns; the seconds that it took."""
    with server.client() as client:
        schemas = {}
        for slug in ("secret", "process"):
            kind = client.request("GET", f"/block_types/slug/{slug}")["id"]
            asked = {"block_schemas": {"block_type_id": {"any_": [kind]}}}
            schema = client.request("POST", "/block_schemas/filter", asked)[0]["id"]
            schemas[slug] = {"block_type_id": kind, "block_schema_id": schema}
        start = time.perf_counter()
        for number in range(documents):
            slug = "process" if number % 4 == 1 else "secret"
            data: dict[str, Any] = {"value": f"hush-{number}"}
            if slug == "process":
                data = {"type": "process", "env": {"LEVEL": "debug", "DB_PASSWORD": f"hush-{number}"}}
            body = {"name": f"block-{number}", "data": data, **schemas[slug]}
            client.request("POST", "/block_documents/", body)
        return time.perf_counter() - start


FIGURES = {"blocks": blocks}
