"""Limits of concurrency over the wire: their shapes, and what every client may do with them."""

import time
from typing import Any
from uuid import uuid4

import pytest
from wire import Api

STAMP = "2026-01-01T00:00:0{}.000000Z"


def a_tag(api: Api, limit: int = 1) -> str:
    tag = f"tag-{uuid4()}"
    assert api.post("/concurrency_limits/", {"tag": tag, "concurrency_limit": limit}).status == 200
    return tag


def a_limit(api: Api, limit: int = 1, **fields: Any) -> str:
    name = f"limit-{uuid4()}"
    assert api.post("/v2/concurrency_limits/", {"name": name, "limit": limit, **fields}).status == 201
    return name


def holders(api: Api, tag: str) -> list[str]:
    found: list[str] = api.get(f"/concurrency_limits/tag/{tag}").body["active_slots"]
    return found


def taken(api: Api, name: str) -> int:
    found: int = api.get(f"/v2/concurrency_limits/{name}").body["active_slots"]
    return found


def task_run(api: Api, run_id: str, *tags: str) -> str:
    body = {"flow_run_id": run_id, "task_key": f"t-{uuid4()}", "dynamic_key": "0", "tags": list(tags)}
    found: str = api.post("/task_runs/", {**body, "state": {"type": "PENDING"}}).body["id"]
    return found


# -- tag limits ------------------------------------------------------------------------------------------------------


def test_creating_the_limit_of_a_tag_again_changes_it(api: Api) -> None:
    tag = a_tag(api, 3)
    first = api.get(f"/concurrency_limits/tag/{tag}").body
    answer = api.post("/concurrency_limits/", {"tag": tag, "concurrency_limit": 5})
    assert answer.status == 200
    assert (answer.body["id"], answer.body["concurrency_limit"]) == (first["id"], 5)
    assert set(answer.body) == {"id", "created", "updated", "tag", "concurrency_limit", "active_slots"}


def test_a_tag_limit_is_read_by_id_tag_and_list(api: Api) -> None:
    tag = a_tag(api)
    by_tag = api.get(f"/concurrency_limits/tag/{tag}")
    assert api.get(f"/concurrency_limits/{by_tag.body['id']}").body == by_tag.body
    assert by_tag.body in api.post("/concurrency_limits/filter", {"limit": 200}).body
    assert len(api.post("/concurrency_limits/filter", {"limit": 1}).body) == 1
    assert tag in api.get("/concurrency_slots/tags").body


@pytest.mark.parametrize("tag", ["a/b", "with space", "100%", "ä"])
def test_any_text_may_be_a_limited_tag(api: Api, tag: str) -> None:
    from urllib.parse import quote

    api.post("/concurrency_limits/", {"tag": tag, "concurrency_limit": 2})
    path = f"/concurrency_limits/tag/{quote(tag, safe='')}"
    assert api.get(path).body["tag"] == tag
    assert api.post(f"{path}/reset", {}).status == 200
    assert api.call("DELETE", path).status == 200
    assert api.get(path).status == 404


def test_deleting_a_tag_limit_answers_as_prefect_2_does(api: Api) -> None:
    tag = a_tag(api)
    deleted = api.call("DELETE", f"/concurrency_limits/tag/{tag}")
    assert (deleted.status, deleted.body) == (200, None)
    assert api.call("DELETE", f"/concurrency_limits/tag/{tag}").status == 404
    other = api.get(f"/concurrency_limits/tag/{a_tag(api)}").body["id"]
    assert api.call("DELETE", f"/concurrency_limits/{other}").status == 200
    assert api.get(f"/concurrency_limits/{other}").status == 404


def test_an_unknown_tag_is_answered_with_the_nearest_one(api: Api) -> None:
    tag = a_tag(api)
    answer = api.get(f"/concurrency_limits/tag/{tag}x")
    assert answer.status == 404
    assert f"Did you mean '{tag}'?" in answer.body["message"]


def test_a_limit_below_zero_is_refused(api: Api) -> None:
    assert api.post("/concurrency_limits/", {"tag": "t", "concurrency_limit": -1}).status == 422
    assert api.post("/v2/concurrency_limits/", {"name": "t", "limit": -1}).status == 422


def test_resetting_a_tag_frees_its_slots_or_gives_them_to_the_task_runs_that_are_named(api: Api) -> None:
    tag, run = a_tag(api), api.run("RUNNING")
    first, second = task_run(api, run["id"], tag), task_run(api, run["id"], tag)
    assert api.propose(first, "RUNNING", "task_runs").body["status"] == "ACCEPT"
    assert holders(api, tag) == [first]
    assert api.post(f"/concurrency_limits/tag/{tag}/reset", {"slot_override": [second]}).status == 200
    assert holders(api, tag) == [second]
    assert api.post(f"/concurrency_limits/tag/{tag}/reset").status == 200
    assert holders(api, tag) == []


# -- task runs of clients that ask for every state -------------------------------------------------------------------


def test_a_task_run_beyond_the_limit_of_its_tag_is_told_to_wait_and_why(api: Api) -> None:
    tag, run = a_tag(api), api.run("RUNNING")
    first, second = task_run(api, run["id"], tag, "free"), task_run(api, run["id"], "also free", tag)
    assert api.propose(first, "RUNNING", "task_runs").body["status"] == "ACCEPT"
    answer = api.propose(second, "RUNNING", "task_runs").body
    assert answer["status"] == "WAIT"
    assert answer["details"]["delay_seconds"] == 30
    assert repr(tag) in answer["details"]["reason"]
    assert holders(api, tag) == [first]
    assert api.get(f"/task_runs/{second}").body["state_type"] == "PENDING"


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "SCHEDULED", "PAUSED"])
def test_a_task_run_that_leaves_running_frees_its_slot(api: Api, kind: str) -> None:
    tag, run = a_tag(api), api.run("RUNNING")
    first, second = task_run(api, run["id"], tag), task_run(api, run["id"], tag)
    api.propose(first, "RUNNING", "task_runs")
    api.propose(first, kind, "task_runs", name="AwaitingRetry" if kind == "SCHEDULED" else None)
    assert holders(api, tag) == []
    assert api.propose(second, "RUNNING", "task_runs").body["status"] == "ACCEPT"


def test_a_task_run_needs_a_slot_of_every_limited_tag_or_takes_none(api: Api) -> None:
    full, free, run = a_tag(api), a_tag(api), api.run("RUNNING")
    api.propose(task_run(api, run["id"], full), "RUNNING", "task_runs")
    both = task_run(api, run["id"], full, free)
    assert api.propose(both, "RUNNING", "task_runs").body["status"] == "WAIT"
    assert holders(api, free) == []


def test_with_a_limit_of_zero_nothing_runs(api: Api) -> None:
    tag, run = a_tag(api, 0), api.run("RUNNING")
    assert api.propose(task_run(api, run["id"], tag), "RUNNING", "task_runs").body["status"] == "WAIT"


@pytest.mark.parametrize("kind", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_whatever_a_run_holds_is_free_when_it_is_over(api: Api, kind: str) -> None:
    tag, name, run = a_tag(api), a_limit(api), api.run("RUNNING")
    api.propose(task_run(api, run["id"], tag), "RUNNING", "task_runs")
    wish = {"holder_id": str(uuid4()), "names": [name], "flow_run_id": run["id"], "leased": False}
    assert api.post("/concurrency_slots/acquire", {"wishes": [wish]}).body["granted"] == [wish["holder_id"]]
    assert (len(holders(api, tag)), taken(api, name)) == (1, 1)
    api.propose(run["id"], kind, force=True)
    assert (holders(api, tag), taken(api, name)) == ([], 0)


def test_a_run_that_is_deleted_holds_nothing(api: Api) -> None:
    tag, run = a_tag(api), api.run("RUNNING")
    api.propose(task_run(api, run["id"], tag), "RUNNING", "task_runs")
    assert api.call("DELETE", f"/flow_runs/{run['id']}").status == 204
    assert holders(api, tag) == []


def test_a_run_that_is_to_be_launched_again_holds_nothing_and_one_that_pauses_in_its_process_does(api: Api) -> None:
    name, run = a_limit(api), api.run("RUNNING")
    wish = {"holder_id": str(uuid4()), "names": [name], "flow_run_id": run["id"], "leased": False}
    api.post("/concurrency_slots/acquire", {"wishes": [wish]})
    api.propose(run["id"], "PAUSED")
    assert taken(api, name) == 1
    api.propose(run["id"], "RUNNING", force=True)
    api.propose(run["id"], "SCHEDULED", force=True, name="AwaitingRetry")
    assert taken(api, name) == 0


# -- named limits ----------------------------------------------------------------------------------------------------


def test_a_named_limit_has_the_shape_that_prefect_2_knows(api: Api) -> None:
    name = f"limit-{uuid4()}"
    made = api.post("/v2/concurrency_limits/", {"name": name, "limit": 3, "slot_decay_per_second": 0.5})
    assert made.status == 201
    found = api.get(f"/v2/concurrency_limits/{name}")
    assert found.body == api.get(f"/v2/concurrency_limits/{made.body['id']}").body == made.body
    shown = {key: found.body[key] for key in ("active", "name", "limit", "active_slots", "slot_decay_per_second")}
    assert shown == {"active": True, "name": name, "limit": 3, "active_slots": 0, "slot_decay_per_second": 0.5}
    assert found.body in api.post("/v2/concurrency_limits/filter", {"limit": 200}).body
    assert api.post("/v2/concurrency_limits/", {"name": name, "limit": 1}).status == 409


def test_a_named_limit_is_changed_and_deleted_by_name_or_id(api: Api) -> None:
    name = a_limit(api)
    path = f"/v2/concurrency_limits/{name}"
    change = {"limit": 7, "active": False, "slot_decay_per_second": 1.5, "active_slots": 2, "denied_slots": 3}
    assert api.call("PATCH", path, change).status == 204
    found = api.get(path).body
    assert (found["limit"], found["active"], found["denied_slots"]) == (7, False, 3)
    assert api.call("PATCH", f"/v2/concurrency_limits/{found['id']}", {"name": f"{name}-2"}).status == 204
    assert api.get(path).status == 404
    assert api.call("PATCH", f"{path}-2", {"name": a_limit(api)}).status == 409
    assert api.call("DELETE", f"{path}-2").status == 204
    assert api.call("DELETE", f"{path}-2").status == 404


def test_slots_without_a_holder_are_counted(api: Api) -> None:
    name = a_limit(api, 2)
    ask = {"names": [name], "slots": 1}
    for _ in range(2):
        granted = api.post("/v2/concurrency_limits/increment", ask)
        assert (granted.status, granted.body[0]["name"], granted.body[0]["limit"]) == (200, name, 2)
    refused = api.post("/v2/concurrency_limits/increment", ask)
    assert refused.status == 423
    assert float(refused.headers["Retry-After"]) > 0
    assert api.get(f"/v2/concurrency_limits/{name}").body["denied_slots"] == 1
    assert api.post("/v2/concurrency_limits/decrement", {**ask, "occupancy_seconds": 9.0}).status == 200
    assert taken(api, name) == 1
    assert api.post("/v2/concurrency_limits/increment", ask).status == 200


def test_slots_of_several_limits_are_taken_together_or_not_at_all(api: Api) -> None:
    full, free = a_limit(api, 1, active_slots=1), a_limit(api)
    assert api.post("/v2/concurrency_limits/increment", {"names": [free, full], "slots": 1}).status == 423
    assert taken(api, free) == 0


def test_more_slots_than_there_are_is_an_error_and_not_a_wait(api: Api) -> None:
    assert api.post("/v2/concurrency_limits/increment", {"names": [a_limit(api)], "slots": 2}).status == 422


def test_names_without_a_limit_and_inactive_limits_hold_nobody_up(api: Api) -> None:
    inactive = a_limit(api, 1, active=False, active_slots=1)
    answer = api.post("/v2/concurrency_limits/increment", {"names": [f"no-{uuid4()}", inactive], "slots": 1})
    assert (answer.status, answer.body) == (200, [])


def test_a_rate_needs_decay(api: Api) -> None:
    ask = {"names": [a_limit(api)], "slots": 1, "mode": "rate_limit"}
    assert api.post("/v2/concurrency_limits/increment", ask).status == 422


def test_slots_that_decay_come_free_by_themselves(api: Api) -> None:
    name = a_limit(api, 1, slot_decay_per_second=5.0)
    ask = {"names": [name], "slots": 1, "mode": "rate_limit"}
    assert api.post("/v2/concurrency_limits/increment", ask).status == 200
    deadline = time.monotonic() + 120
    while api.post("/v2/concurrency_limits/increment", ask).status != 200:
        assert time.monotonic() < deadline, "the slot never came free"
        time.sleep(0.05)


def test_setting_the_slots_that_are_taken_takes_them_from_their_holders(api: Api) -> None:
    name = a_limit(api)
    api.post("/concurrency_slots/acquire", {"wishes": [{"holder_id": str(uuid4()), "names": [name]}]})
    assert taken(api, name) == 1
    api.call("PATCH", f"/v2/concurrency_limits/{name}", {"active_slots": 0})
    assert taken(api, name) == 0


# -- reports of engines ----------------------------------------------------------------------------------------------


class Engine:
    """What an engine does about one task run: acquires a slot for it and reports its states."""

    def __init__(self, api: Api, tag: str) -> None:
        self.api, self.tag, self.run_id = api, tag, api.run("RUNNING")["id"]
        self.task_run_id, self.stream, self.sequence = str(uuid4()), str(uuid4()), 0

    def acquire(self, **fields: Any) -> bool:
        wish = {"holder_id": self.task_run_id, "tags": [self.tag], "flow_run_id": self.run_id, **fields}
        answer = self.api.post("/concurrency_slots/acquire", {"wishes": [wish]})
        assert answer.status == 200, answer
        granted: bool = answer.body["granted"] == [self.task_run_id]
        return granted

    def report(self, *kinds: str, message: str | None = None) -> None:
        self.sequence += 1
        names = {"AwaitingRetry": "SCHEDULED", "AwaitingConcurrencySlot": "SCHEDULED"}
        states = [
            {
                "id": str(uuid4()),
                "type": names.get(kind, kind),
                "name": kind if kind in names else None,
                "timestamp": at,
            }
            for kind, at in ((kind, STAMP.format(number)) for number, kind in enumerate(kinds, self.sequence))
        ]
        states[-1]["message"] = message
        report = {"task_run_id": self.task_run_id, "states": states}
        if self.sequence == 1:
            report["create"] = {"flow_run_id": self.run_id, "task_key": "t", "dynamic_key": "0", "tags": [self.tag]}
        head = {"stream": self.stream, "sequence": self.sequence, "flow_run_id": self.run_id}
        answer = self.api.post("/reports", {**head, "task_runs": [report]})
        assert answer.status == 200, answer


def test_a_slot_is_kept_until_the_report_says_that_the_task_run_does_not_run_any_more(api: Api) -> None:
    engine = Engine(api, a_tag(api))
    assert engine.acquire()
    for kinds in (("PENDING",), ("AwaitingConcurrencySlot",), ("RUNNING",)):
        engine.report(*kinds)
        assert holders(api, engine.tag) == [engine.task_run_id], kinds
    engine.report("COMPLETED")
    assert holders(api, engine.tag) == []


def test_a_run_whose_task_runs_wait_for_slots_says_so_when_it_is_asked(api: Api) -> None:
    engine = Engine(api, a_tag(api, 0))
    path = f"/flow_runs/{engine.run_id}/explain"
    before = api.get(path).body["explanation"]
    engine.report("PENDING", "AwaitingConcurrencySlot", message=f"Waits for a slot of the tag '{engine.tag}'")
    assert api.get(path).body["explanation"] == (
        f"{before} One of its task runs cannot start yet: waits for a slot of the tag '{engine.tag}'. "
        "See: penstock concurrency-limit ls."
    )


@pytest.mark.parametrize("kind", ["FAILED", "CANCELLED", "CRASHED", "AwaitingRetry", "PAUSED"])
def test_however_a_task_run_leaves_running_its_report_frees_the_slot(api: Api, kind: str) -> None:
    engine = Engine(api, a_tag(api))
    engine.acquire()
    engine.report("PENDING", "RUNNING", kind)
    assert holders(api, engine.tag) == []


def test_a_task_run_that_has_its_slot_gets_no_second_one(api: Api) -> None:
    engine = Engine(api, a_tag(api))
    assert engine.acquire()
    assert engine.acquire()
    assert holders(api, engine.tag) == [engine.task_run_id]


def test_a_run_that_is_over_gets_no_slots(api: Api) -> None:
    tag = a_tag(api)
    engine = Engine(api, tag)
    api.propose(engine.run_id, "CRASHED", force=True)
    wish = {"holder_id": engine.task_run_id, "tags": [tag], "flow_run_id": engine.run_id}
    answer = api.post("/concurrency_slots/acquire", {"wishes": [wish]}).body
    assert (answer["granted"], answer["denied"][0]["holder_id"]) == ([], engine.task_run_id)
    assert holders(api, tag) == []


def test_task_runs_that_are_closed_with_their_run_hold_nothing(api: Api) -> None:
    engine = Engine(api, a_tag(api))
    engine.acquire()
    engine.report("PENDING", "RUNNING")
    api.propose(engine.run_id, "CANCELLED", force=True)
    assert holders(api, engine.tag) == []
    assert api.get(f"/task_runs/{engine.task_run_id}").body["state_type"] == "CANCELLED"
