from typing import Any
from uuid import uuid4

from wire import Api


def _lines(run: str, count: int, **fields: Any) -> list[dict[str, Any]]:
    stamp = "2026-01-01T00:00:{:02d}.000000+00:00"
    return [
        {
            "name": "n",
            "level": 10 * (i % 5),
            "message": f"line {i}",
            "timestamp": stamp.format(i),
            "flow_run_id": run,
            **fields,
        }
        for i in range(count)
    ]


def _read(api: Api, run: str, **more: Any) -> list[str]:
    logs = {"flow_run_id": {"any_": [run]}, **more.pop("logs", {})}
    return [line["message"] for line in api.post("/logs/filter", {"logs": logs, **more}).body]


def test_lines_are_read_in_their_order(api: Api) -> None:
    run = str(uuid4())
    answer = api.post("/logs/", _lines(run, 5))
    assert (answer.status, answer.body) == (201, None)
    assert _read(api, run) == [f"line {i}" for i in range(5)]
    assert _read(api, run, sort="TIMESTAMP_DESC", limit=2) == ["line 4", "line 3"]


def test_lines_of_the_same_moment_keep_the_order_in_which_they_came(api: Api) -> None:
    run = str(uuid4())
    api.post("/logs/", _lines(run, 9, timestamp="2026-01-01T00:00:00Z"))
    assert _read(api, run) == [f"line {i}" for i in range(9)]


def test_lines_are_filtered_by_level_time_and_task(api: Api) -> None:
    run, task = str(uuid4()), str(uuid4())
    api.post("/logs/", [*_lines(run, 5), *_lines(run, 1, task_run_id=task, message="of the task")])
    assert _read(api, run, logs={"level": {"ge_": 30}}) == ["line 3", "line 4"]
    assert _read(api, run, logs={"level": {"le_": 10, "ge_": 10}}) == ["line 1"]
    assert _read(api, run, logs={"timestamp": {"after_": "2026-01-01T00:00:03Z"}}) == ["line 3", "line 4"]
    assert _read(api, run, logs={"task_run_id": {"any_": [task]}}) == ["of the task"]


def test_a_cursor_follows_a_log_that_grows(api: Api) -> None:
    run = str(uuid4())
    api.post("/logs/", _lines(run, 4))
    query: dict[str, Any] = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 2}
    first = api.post("/logs/filter", query)
    second = api.post("/logs/filter", query | {"cursor": first.headers["X-Next-Cursor"]})
    end = second.headers["X-Next-Cursor"]
    assert api.post("/logs/filter", query | {"cursor": end}).body == []
    api.post("/logs/", _lines(run, 1, timestamp="2026-01-01T00:01:00Z", message="late"))
    assert [line["message"] for line in api.post("/logs/filter", query | {"cursor": end}).body] == ["late"]


def test_what_no_database_can_hold_is_made_visible_instead_of_lost(api: Api) -> None:
    run = str(uuid4())
    assert api.post("/logs/", _lines(run, 1, message="a\x00b")).status == 201
    assert _read(api, run) == ["a\ufffdb"]


def test_no_lines_are_no_error_and_a_bad_line_is_named(api: Api) -> None:
    assert api.post("/logs/", []).status == 201
    answer = api.post("/logs/", [{"name": "n", "level": "high", "message": "m", "timestamp": "2026-01-01T00:00:00Z"}])
    assert answer.status == 422
    assert answer.body["message"].startswith("0.level")
