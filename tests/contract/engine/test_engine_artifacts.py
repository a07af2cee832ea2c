"""What flows and tasks leave with `penstock.artifacts`, called as users of Prefect 2 call it, is on the server."""

import asyncio
import datetime
import json
import threading
from uuid import uuid4

import pytest

from penstock import flow, task
from penstock.artifacts import (
    Artifact,
    LinkArtifact,
    MarkdownArtifact,
    TableArtifact,
    acreate_markdown_artifact,
    aupdate_progress_artifact,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from penstock.errors import Invalid, NotFound
from penstock.testing import Fault, FaultProxy, wait_until


class Measure:
    """Numbers of other libraries look like this one."""

    def __init__(self, value: float) -> None:
        self.value = value

    def item(self) -> float:
        return self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and self.value == other.value

    def __hash__(self) -> int:
        return 0


def test_an_artifact_belongs_to_the_run_in_which_it_was_made(accounts):
    ids = {}

    @task
    def inside():
        ids["task"] = create_markdown_artifact("# Task", key="inside-task", description="d")

    @flow
    def leaves_artifacts():
        ids["flow"] = create_markdown_artifact(markdown="# Flow")
        inside()
        inside.submit().wait()

    leaves_artifacts()
    ids["none"] = create_markdown_artifact("# None")
    run = accounts.flow_run(leaves_artifacts)
    found = {name: accounts.client.read_artifact(id_) for name, id_ in ids.items()}
    assert [(found[name].flow_run_id, found[name].data) for name in ("flow", "task", "none")] == [
        (run.id, "# Flow"),
        (run.id, "# Task"),
        (None, "# None"),
    ]
    assert found["flow"].task_run_id is None
    assert found["task"].task_run_id == accounts.task_runs(run)["inside-1"].id
    assert (found["task"].key, found["task"].description, found["task"].type) == ("inside-task", "d", "markdown")
    assert len(accounts.client.read_artifacts(flow_run_filter={"id": {"any_": [str(run.id)]}})) == 3
    newest = Artifact.get("inside-task")
    assert newest is not None
    assert newest.id == ids["task"]
    assert Artifact.get("no-such-key") is None


@pytest.mark.parametrize(
    ("table", "data"),
    [
        ([{"a": 1, "b": float("nan")}, {"a": "x"}], [{"a": 1, "b": None}, {"a": "x"}]),
        ({"a": [1, 2], "b": (float("inf"), None)}, {"a": [1, 2], "b": [None, None]}),
        ([[1, "x"], (2.5, True)], [[1, "x"], [2.5, True]]),
        ([], []),
        ([{"at": datetime.date(2030, 1, 2), "n": Measure(1.5), "gone": Measure(float("nan"))}],
         [{"at": "2030-01-02", "n": 1.5, "gone": None}]),
        ([{"kind": Measure}], [{"kind": str(Measure)}]),
    ],
)  # fmt: skip
def test_a_table_is_kept_as_json(accounts, table, data):
    kept = accounts.client.read_artifact(create_table_artifact(table, key="table"))
    assert kept.type == "table"
    assert json.loads(kept.data) == data


@pytest.mark.parametrize("table", ["text", 5, [1, 2], ["ab"], {"a": 1}, {"a": [1], "b": [1, 2]}])
def test_what_is_no_table_is_refused(table):
    with pytest.raises(Invalid, match=r"list|lengths"):
        create_table_artifact(table)


def test_links_images_and_progress_are_kept(accounts):
    def kept(id_):
        found = accounts.client.read_artifact(id_)
        return found.type, found.data

    assert kept(create_link_artifact("http://a/b")) == ("markdown", "[http://a/b](http://a/b)")
    assert kept(create_link_artifact(link="http://a/b", link_text="here")) == ("markdown", "[here](http://a/b)")
    assert kept(create_image_artifact("http://a/b.png", key="image")) == ("image", "http://a/b.png")
    bar = create_progress_artifact(0, key="bar", description="d")
    assert kept(bar) == ("progress", 0.0)
    assert update_progress_artifact(bar, 99.5) == bar
    assert kept(bar) == ("progress", 99.5)
    assert accounts.client.read_artifact(bar).description == "d"
    update_progress_artifact(bar, 100, description="done")
    assert accounts.client.read_artifact(bar).description == "done"
    with pytest.raises(NotFound):
        update_progress_artifact(uuid4(), 1)


@pytest.mark.parametrize("call", [
    lambda: create_markdown_artifact("x", key="Bad_Key"),
    lambda: create_markdown_artifact(5),
    lambda: create_link_artifact(None),
    lambda: create_image_artifact(5),
    lambda: create_progress_artifact(101),
    lambda: create_progress_artifact(float("nan")),
    lambda: create_progress_artifact("half"),
])  # fmt: skip
def test_what_cannot_be_an_artifact_is_refused_before_it_is_sent(call):
    with pytest.raises(Invalid) as refused:
        call()
    assert refused.value.status is None


def test_the_classes_that_users_of_prefect_2_know_do_the_same(accounts):
    made = MarkdownArtifact(markdown="# Hi", key="by-class", description="d").create()
    assert (made.type, made.data, made.key, made.description) == ("markdown", "# Hi", "by-class", "d")
    assert TableArtifact(table=[{"a": 1}]).create().data == '[{"a":1}]'
    assert LinkArtifact(link="http://a", link_text="here").create().data == "[here](http://a)"
    other = Artifact(type="mine", data={"a": [1]}, metadata_={"b": "c"}).create()
    assert (other.type, other.data, other.metadata_) == ("mine", {"a": [1]}, {"b": "c"})
    assert Artifact.get_or_create("by-class") == (made, False)
    created, is_new = MarkdownArtifact.get_or_create("by-method", description="d", markdown="# New")
    assert (created.data, created.key, is_new) == ("# New", "by-method", True)
    assert Artifact.get_or_create("by-method", data="other") == (created, False)
    with pytest.raises(ValueError, match="lowercase"):
        MarkdownArtifact(markdown="# Hi", key="Bad_Key")


def test_asynchronous_flows_await_them_and_synchronous_tasks_inside_do_not(accounts):
    ids = {}

    @task
    async def asynchronous():
        ids["async task"] = await create_markdown_artifact("1")

    @task
    def synchronous():
        ids["sync task"] = create_markdown_artifact("2")

    @flow
    async def awaits():
        ids["flow"] = await create_markdown_artifact("3", key="awaited")
        ids["always"] = await acreate_markdown_artifact("4")
        create_markdown_artifact("5", key="not-awaited")
        await asynchronous()
        await asynchronous.submit()
        synchronous()
        bar = await create_progress_artifact(1)
        await update_progress_artifact(bar, 2)
        await aupdate_progress_artifact(bar, 3)
        return await Artifact.get("awaited"), await Artifact.aget("awaited")

    for newest in asyncio.run(awaits()):
        assert newest.id == ids["flow"]
    run = accounts.flow_run(awaits)
    of_run = {"id": {"any_": [str(run.id)]}}
    wait_until(lambda: accounts.client.count_artifacts(flow_run_filter=of_run) == 7, 30, "what nobody awaited is there")
    kept = accounts.client.read_artifacts(flow_run_filter=of_run)
    assert sorted(one.data for one in kept if one.type == "markdown") == ["1", "1", "2", "3", "4", "5"]
    assert [one.data for one in kept if one.type == "progress"] == [3.0]
    by_id = {one.id: one for one in kept}
    tasks = accounts.task_runs(run)
    assert by_id[ids["sync task"]].task_run_id == tasks["synchronous-0"].id
    assert by_id[ids["async task"]].task_run_id in {tasks["asynchronous-0"].id, tasks["asynchronous-1"].id}


def test_asynchronous_code_outside_of_runs_awaits_them(accounts):
    async def script():
        return await create_markdown_artifact("1", key="script")

    assert accounts.client.read_artifact(asyncio.run(script())).key == "script"


def test_an_artifact_survives_an_api_that_is_away(accounts, monkeypatch):
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        monkeypatch.setenv("PENSTOCK_CLIENT_MAX_RETRIES", "0")

        @task
        def report():
            proxy.refuse()
            threading.Timer(0.7, proxy.refuse, [False]).start()
            return create_markdown_artifact("kept", key="outage")

        @flow
        def outage():
            return report()

        assert accounts.client.read_artifact(outage()).data == "kept"
    assert accounts.flow_run(outage).state_name == "Completed"
    assert accounts.client.count_artifacts(artifact_filter={"key": {"any_": ["outage"]}}) == 1


def test_an_artifact_whose_answer_was_lost_is_kept_once(accounts, monkeypatch):
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        lost = proxy.add(Fault("drop_answer", method="POST", path="/api/artifacts/", times=1))

        @flow
        def answer_lost():
            return create_markdown_artifact("once", key="lost")

        answer_lost()
        assert lost.struck == 1
    assert accounts.client.count_artifacts(artifact_filter={"key": {"any_": ["lost"]}}) == 1
