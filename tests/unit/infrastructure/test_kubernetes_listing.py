"""Lists that nobody waits for any more, and watches that tell late."""

import asyncio
import gc
import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes_objects import a_job

from penstock.infrastructure.kubernetes.access import Access
from penstock.infrastructure.kubernetes.connection import Connection
from penstock.infrastructure.kubernetes.watches import Collection, Mirror


def _kubeconfig(folder: Path, port: int) -> Access:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "me", "user": {}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    return Access(files=str(folder / "kubeconfig"))


def test_a_list_that_fails_after_all_have_left_is_no_error_in_the_log(tmp_path: Path) -> None:
    async def story() -> list[dict[str, Any]]:
        troubles: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        asked, gone = asyncio.Event(), asyncio.Event()

        async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await gone.wait()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(api, "127.0.0.1", 0)
        connection = Connection(_kubeconfig(tmp_path, server.sockets[0].getsockname()[1]))
        listed = Collection(connection, "/api/v1/pods", "", lambda _item, _gone: None)
        waiting = asyncio.create_task(listed.refresh())
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        (listing,) = [task for task in asyncio.all_tasks() if "Collection._list()" in repr(task)]
        gone.set()
        await asyncio.wait({listing})
        assert not listing.cancelled()
        del listing, waiting, listed
        gc.collect()
        await connection.close()
        server.close()
        await server.wait_closed()
        return troubles

    assert asyncio.run(story()) == []


@pytest.mark.parametrize("late", ["ADDED", "MODIFIED"])
def test_a_job_that_was_removed_does_not_come_back_by_what_a_watch_tells_late(late: str) -> None:
    mirror = Mirror(Connection(Access()), "n", "owner", lambda: None)
    first, second = a_job(), a_job()
    second["metadata"]["uid"] = "another of the name"

    def tell(kind: str, job: dict[str, Any]) -> None:
        mirror.jobs._take(json.dumps({"type": kind, "object": job}).encode())

    tell("ADDED", first)
    mirror.forget("run")
    tell(late, first)
    assert mirror.job("run") is None
    tell("DELETED", first)
    tell(late, second)
    found = mirror.job("run")
    assert found is not None
    assert found["metadata"]["uid"] == "another of the name"
