"""The way to a real cluster breaks, or the cluster itself does: no job is started twice, none is declared dead."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kubernetes_cluster import Cluster

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import tails, watches
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.testing import Fault
from penstock.testing.driver_contract import POLITE

from .kubernetes_jobs import HELD, PATIENCE, Way, a_job, ask, comes_true, let_go, request, until, way

NAPPER = ("sh", "-c", "sleep 4; exit 3")
Question = Callable[[KubernetesDriver, Way], Awaitable[None]]


def _ask(cluster: Cluster, namespace: str, folder: Path, question: Question) -> None:
    """Put a question to a driver whose way to the cluster can be broken."""
    with way(cluster, folder) as broken:
        ask(broken.kubeconfig, namespace, lambda driver: question(driver, broken))


def test_a_job_whose_answer_is_lost_is_made_once(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        for path in ("/apis/batch/v1/.*/jobs", "/api/v1/.*/secrets"):
            broken.proxy.add(Fault("drop_answer", method="POST", path=path, times=2))
        job = a_job("sh", "-c", "test $(cat /run/penstock/token) = a-token")
        handle = await driver.start(request(namespace, job))
        assert broken.proxy.injected["drop_answer"] >= 2
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 0
        assert [item["metadata"]["name"] for item in cluster.get("jobs", "-n", namespace)["items"]] == [job.name]

    _ask(cluster, namespace, tmp_path, question)


def test_a_server_that_is_too_busy_is_asked_again_when_it_says(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        busy = broken.proxy.add(Fault("status", method="POST", status=429, retry_after="0.2", times=3))
        failing = broken.proxy.add(Fault("status", method="GET", status=500, times=3))
        handle = await driver.start(request(namespace, a_job("sh", "-c", "exit 3")))
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 3
        assert (busy.struck, failing.struck) == (3, 3)

    _ask(cluster, namespace, tmp_path, question)


@pytest.mark.parametrize("how", ["as a status", "as an event"])
def test_a_watch_from_a_version_that_has_expired_begins_with_a_list_again(
    cluster: Cluster, namespace: str, tmp_path: Path, how: str
) -> None:
    gone = b'{"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}'
    event = b'{"type": "ERROR", "object": ' + gone + b"}\n"
    body, status = (gone, 410) if how == "as a status" else (event, 200)

    async def question(driver: KubernetesDriver, broken: Way) -> None:
        expired = broken.proxy.add(Fault("status", path=".*watch=true", status=status, body=body, times=4))
        handle = await driver.start(request(namespace, a_job(*HELD)))
        await until(driver, handle, lambda seen: seen.status == "RUNNING" and expired.struck == 4)
        let_go(cluster, namespace, handle)
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 3

    _ask(cluster, namespace, tmp_path, question)


def test_watches_that_never_say_a_word_hide_no_end(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        silent = broken.proxy.add(Fault("delay", path=".*watch=true", seconds=3600))
        began = clock.monotonic()
        handle = await driver.start(request(namespace, a_job(*HELD)))
        await until(driver, handle, lambda seen: seen.status == "RUNNING" and silent.struck >= 2)
        let_go(cluster, namespace, handle)
        seen = await until(driver, handle, "ENDED")
        assert seen.exit is not None
        assert seen.exit.code == 3
        # one for Jobs, one for pods, however often it is looked, until they count as deaf
        tries = 1 + (clock.monotonic() - began) // (watches.RELIST_SECONDS + watches.SILENCE_SECONDS)
        assert silent.struck <= 2 * tries

    _ask(cluster, namespace, tmp_path, question)


def test_watches_that_are_cut_again_and_again_lose_no_job(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        handles = [await driver.start(request(namespace, a_job(*NAPPER, owner="cut-owner"))) for _ in range(3)]
        open_ones = set(range(len(handles)))
        deadline = clock.monotonic() + PATIENCE
        while open_ones:
            assert clock.monotonic() < deadline
            broken.proxy.drop_connections()
            seen = await driver.observe(handles)
            assert {each.status for each in seen} <= {"PENDING", "RUNNING", "ENDED", "UNKNOWN"}
            open_ones -= {index for index in open_ones if seen[index].status == "ENDED"}
            await driver.wait_for_news(0.3)
        for handle in handles:  # once more, should the last cut have left a line that is dead
            ended = await until(driver, handle, "ENDED")
            assert ended.exit is not None
            assert ended.exit.code == 3

    _ask(cluster, namespace, tmp_path, question)


def test_a_network_that_swallows_everything_is_unknown_in_bounded_time(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        handle = await driver.start(request(namespace, a_job(*POLITE)))
        await until(driver, handle, "RUNNING")
        broken.proxy.partition()
        with monkeypatch.context() as patch:
            patch.setattr(watches, "CONFIRM_SECONDS", 1.0)
            async with asyncio.timeout(PATIENCE):
                assert (await driver.observe([handle]))[0].status == "UNKNOWN"
        broken.proxy.partition(False)
        await until(driver, handle, "RUNNING")

    _ask(cluster, namespace, tmp_path, question)


def test_credentials_that_expire_are_read_again_and_then_told_as_such(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        expired = broken.proxy.add(Fault("status", status=401, times=1))
        handle = await driver.start(request(namespace, a_job(*POLITE)))
        assert expired.struck == 1
        await until(driver, handle, "RUNNING")
        broken.proxy.add(Fault("status", status=401))
        seen = (await driver.observe([handle]))[0]
        assert seen.status == "UNKNOWN"
        assert "does not accept the credentials" in (seen.message or "")
        with pytest.raises(NotReachable) as told:
            await driver.find_job(handle.data["name"])
        assert told.value.code == "credentials"

    _ask(cluster, namespace, tmp_path, question)


def test_what_a_stopped_job_printed_last_is_read_however_late_its_log_is_shown(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "_BEGIN", 60.0)
    command = "trap 'echo the end; exit 7' TERM; echo ready; while :; do sleep 0.05; done"

    async def question(driver: KubernetesDriver, broken: Way) -> None:
        handle = await driver.start(request(namespace, a_job("sh", "-c", command), grace_seconds=60))
        await comes_true(lambda: _has_printed(driver, handle), "it is ready")
        late = broken.proxy.add(Fault("delay", path=".*follow=true", seconds=3))
        await driver.stop(handle, 60)
        assert late.struck == 1
        assert (await driver.output(handle)).text == "ready\nthe end\n"

    _ask(cluster, namespace, tmp_path, question)


async def _has_printed(driver: KubernetesDriver, handle: Handle) -> bool:
    return bool((await driver.output(handle)).text)


def _run_many(cluster: Cluster, namespace: str, folder: Path, count: int) -> float:
    """Run `count` jobs at once; the seconds that took. All end as they should, over a handful of connections."""
    took = 0.0

    async def question(driver: KubernetesDriver, broken: Way) -> None:
        nonlocal took
        began = clock.monotonic()
        owner, most = "many-owner", 0
        requests = [request(namespace, a_job("sh", "-c", f"exit {n % 3}", owner=owner)) for n in range(count)]
        handles = await asyncio.gather(*(driver.start(each) for each in requests))
        deadline = began + PATIENCE * 4
        seen = await driver.observe(handles)
        while {each.status for each in seen} != {"ENDED"}:
            assert all(each.status != "MISSING" for each in seen)
            assert clock.monotonic() < deadline, seen
            most = max(most, broken.proxy.open_connections)
            await driver.wait_for_news(0.5)
            seen = await driver.observe(handles)
        assert [each.exit.code if each.exit else None for each in seen] == [n % 3 for n in range(count)]
        assert most <= 20, most
        took = clock.monotonic() - began
        assert len(cluster.get("pods", "-n", namespace)["items"]) == count

    _ask(cluster, namespace, folder, question)
    return took


def test_jobs_at_once_all_end_over_a_handful_of_connections(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    _run_many(cluster, namespace, tmp_path, 12)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("PENSTOCK_TEST_SOAK"), reason="takes minutes: PENSTOCK_TEST_SOAK is not set")
@pytest.mark.timeout(900)
def test_a_hundred_jobs_at_once(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    print(f"100 jobs at once took {_run_many(cluster, namespace, tmp_path, 100):.0f} s")


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("PENSTOCK_TEST_SOAK"), reason="takes minutes: PENSTOCK_TEST_SOAK is not set")
@pytest.mark.timeout(1800)
def test_five_hundred_jobs_that_wait_are_looked_after_over_a_handful_of_connections(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        most = 0

        async def count() -> None:
            nonlocal most
            while True:
                most = max(most, broken.proxy.open_connections)
                await asyncio.sleep(0.05)

        counting = asyncio.create_task(count())
        nowhere = {"node_selector": {"penstock.test/disk": "none-has-it"}}
        requests = [request(namespace, a_job("true", owner="many-owner"), **nowhere) for _ in range(500)]
        began = clock.monotonic()
        handles = await asyncio.gather(*(driver.start(each) for each in requests))
        started = clock.monotonic() - began
        seen = await driver.observe(handles)
        while not all(each.status == "PENDING" and "0/1 nodes" in (each.message or "") for each in seen):
            assert clock.monotonic() - began < 6 * PATIENCE
            await driver.wait_for_news(1)
            seen = await driver.observe(handles)
        told = clock.monotonic() - began
        looks = []
        for _ in range(10):
            looked = clock.monotonic()
            await driver.observe(handles)
            looks.append(clock.monotonic() - looked)
        stopping = clock.monotonic()
        await asyncio.gather(*(driver.stop(each, 0) for each in handles))
        stopped = clock.monotonic() - stopping
        assert {each.status for each in await driver.observe(handles)} == {"ENDED"}
        await asyncio.gather(*(driver.remove(each) for each in handles))
        removed = clock.monotonic() - stopping - stopped
        assert await driver.find("many-owner") == []
        counting.cancel()
        print(
            f"500 Jobs: started in {started:.1f} s, all told what they wait for after {told:.1f} s, a look took "
            f"{sorted(looks)[5] * 1000:.0f} ms, stopped in {stopped:.1f} s, removed in {removed:.1f} s; {most} connections"
        )
        assert most <= 20

    _ask(cluster, namespace, tmp_path, question)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("PENSTOCK_TEST_SOAK"), reason="takes minutes: PENSTOCK_TEST_SOAK is not set")
@pytest.mark.timeout(900)
def test_two_minutes_of_cuts_every_five_seconds(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    async def question(driver: KubernetesDriver, broken: Way) -> None:
        command = ("sh", "-c", "i=0; while [ $i -lt 120 ]; do echo line $i; sleep 1; i=$((i+1)); done; exit 3")
        handle = await driver.start(request(namespace, a_job(*command)))
        text, offset, next_cut = "", 0, clock.monotonic() + 5
        seen_as: set[str] = set()
        while (seen := (await driver.observe([handle]))[0]).status != "ENDED":
            seen_as.add(seen.status)
            if clock.monotonic() > next_cut:
                broken.proxy.drop_connections()
                next_cut += 5
            try:
                piece = await driver.output(handle, offset)
                text, offset = text + piece.text, piece.offset
            except NotReachable:
                pass
            await driver.wait_for_news(0.5)
        while (piece := await driver.output(handle, offset)).text:
            text, offset = text + piece.text, piece.offset
        assert seen.exit is not None
        assert seen.exit.code == 3
        assert "MISSING" not in seen_as
        assert text == "".join(f"line {number}\n" for number in range(120))

    _ask(cluster, namespace, tmp_path, question)
