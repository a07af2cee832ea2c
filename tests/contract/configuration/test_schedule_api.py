"""Schedules on the wire: what is refused and how, what is kept, and when they are due."""

from typing import Any

import pytest
from test_deployment_api import HOURLY, deploy, hourly, planned
from wire import Api

from penstock.testing import wait_until


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron": "0 9 * *"}, "five fields are needed"),
        ({"cron": "0 0 9 * * *"}, "it has six fields"),
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"cron": "0 0 30 2 1", "day_or": False}, "no day of any year"),
        ({"cron": "@reboot"}, "'@reboot' is no cron expression"),
        ({"cron": "@dayly"}, "Did you mean '@daily'"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
        ({"interval": 0.5}, "between one second and a hundred years"),
        ({"interval": 1e15}, "between one second and a hundred years"),
        ({"interval": -1}, "greater than 0"),
        ({"rrule": "FREQ=SOMETIMES"}, "is no recurrence rule"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL is at least 1"),
        ({"rrule": "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30"}, "there is no such day"),
        ({"rrule": "FREQ=DAILY;COUNT=100000"}, "COUNT lies between"),
        ({"rrule": "FREQ=DAILY;COUNT=3;UNTIL=20300101"}, "exclude each other"),
        ({"rrule": f"FREQ=DAILY;BYSECOND={','.join(map(str, range(60)))};BYMINUTE=1,2,3,4,5"}, "times of day"),
        ({"rrule": "DTSTART:00010101T000000\nRRULE:FREQ=DAILY"}, "before 1970"),
        ({"rrule": "RDATE:tomorrow"}, "TOMORROW is no date"),
        ({"rrule": "EXDATE:20300101"}, "it has no RRULE"),
        ({"rrule": "SUMMARY:x\nRRULE:FREQ=DAILY"}, "SUMMARY is not one of"),
        ({"rrule": "FREQ=DAILY" + " " * 6500}, "too long"),
        ({"cron": "@daily", "interval": 5}, "no field"),
    ],
)
def test_a_schedule_that_no_run_could_come_of_is_refused_wherever_it_is_sent(
    api: Api, schedule: dict[str, Any], said: str
) -> None:
    deployment = deploy(api, schedules=[{"schedule": HOURLY}], paused=True)
    path = f"/deployments/{deployment['id']}"
    one = deployment["schedules"][0]["id"]
    for method, where, body in (
        ("POST", f"{path}/schedules", [{"schedule": schedule}]),
        ("PATCH", f"{path}/schedules/{one}", {"schedule": schedule}),
        ("PATCH", path, {"schedule": schedule}),
        ("PATCH", path, {"schedules": [{"schedule": schedule}]}),
        ("POST", "/deployments/", {"name": "other", "flow_id": deployment["flow_id"], "schedule": schedule}),
        ("POST", "/schedules/preview", {"schedule": schedule}),
    ):
        answer = api.call(method, where, body)
        assert answer.status == 422, (method, where, answer)
        assert said in answer.body["message"]
    assert [item["schedule"] for item in api.get(f"{path}/schedules").body] == [HOURLY]


def test_new_fields_have_defaults_and_old_clients_need_not_know_them(api: Api) -> None:
    deployment = deploy(api, schedules=[{"schedule": HOURLY, "catchup": False}], paused=True)
    one = deployment["schedules"][0]
    kept = ("name", "parameters", "catchup_policy", "catchup", "max_active_runs", "max_scheduled_runs")
    assert [one[key] for key in kept] == [None, {}, "all", False, None, None]
    path = f"/deployments/{deployment['id']}/schedules/{one['id']}"
    change = {"name": "n", "parameters": {"x": 1}, "catchup_policy": "latest", "max_active_runs": 2}
    assert api.call("PATCH", path, change).status == 204
    changed = api.get(f"/deployments/{deployment['id']}/schedules").body[0]
    assert {key: changed[key] for key in change} == change
    for wrong in ({"max_active_runs": 0}, {"catchup_policy": "some"}, {"catchup_polcy": "all"}):
        assert api.call("PATCH", path, wrong).status == 422
    again = {"name": "d", "flow_id": deployment["flow_id"], "schedules": [{"schedule": HOURLY}]}
    applied = api.post("/deployments/", again).body["schedules"][0]
    assert {key: applied[key] for key in ("id", *change)} == {"id": one["id"], **change}


def test_the_preview_says_when_clocks_change(api: Api) -> None:
    asked = {
        "schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"},
        "after": "2026-03-28T12:00:00Z",
        "count": 2,
    }
    assert api.post("/schedules/preview", asked).body == [
        {
            "time": "2026-03-29T01:00:00Z",
            "local": "2026-03-29T03:00:00+02:00",
            "timezone": "Europe/Berlin",
            "note": "clocks went forward 1 h, right after what they leave out",
        },
        {
            "time": "2026-03-30T00:30:00Z",
            "local": "2026-03-30T02:30:00+02:00",
            "timezone": "Europe/Berlin",
            "note": None,
        },
    ]
    asked = {
        "schedule": {"cron": "0 * * * *", "timezone": "Europe/Berlin"},
        "after": "2026-10-25T00:30:00Z",
        "count": 1,
    }
    note = api.post("/schedules/preview", asked).body[0]["note"]
    assert note == "clocks went back 1 h, second time that they show this"
    everything = {"schedule": {"rrule": "FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY"}}
    assert "too much to compute" in api.post("/schedules/preview", everything).body["message"]
    assert api.post("/schedules/preview", {**asked, "count": 1001}).status == 422


def test_runs_of_a_deleted_schedule_go_and_those_of_others_stay(api: Api) -> None:
    every = hourly()
    deployment = deploy(api, schedules=[{"schedule": every}, {"schedule": every, "parameters": {"x": 1}}])
    wait_until(lambda: planned(api, deployment) == 6, message="both schedules are planned")
    path = f"/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"
    assert api.call("DELETE", path).status == 204
    wait_until(lambda: planned(api, deployment) == 3, message="the other one is planned anew")
    assert api.call("DELETE", path).status == 404
    assert api.call("PATCH", path, {"active": False}).status == 404
