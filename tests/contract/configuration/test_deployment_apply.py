"""POST /deployments/apply on both databases: what is said meets what people have changed elsewhere."""

from typing import Any
from uuid import uuid4

import pytest
from wire import Api

NINE = {"cron": "0 9 * * *", "timezone": "UTC", "day_or": True}
TEN = {"cron": "0 10 * * *", "timezone": "UTC", "day_or": True}
NOON = {"cron": "0 12 * * *", "timezone": "UTC", "day_or": True}


class Deployed:
    """One deployment of a new flow."""

    def __init__(self, api: Api) -> None:
        self.api, self.flow_id = api, api.flow()

    def ask(self, **said: Any) -> Any:
        return self.api.post("/deployments/apply", {"name": "d", "flow_id": self.flow_id, **said})

    def apply(self, **said: Any) -> dict[str, Any]:
        answer = self.ask(**said)
        assert answer.status in (200, 201), answer
        applied: dict[str, Any] = answer.body
        return applied

    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/deployments/{self.id}").body
        return found

    @property
    def id(self) -> str:
        listed = self.api.post("/deployments/filter", {"flows": {"id": {"any_": [self.flow_id]}}}).body
        return str(listed[0]["id"])

    def change_elsewhere(self, **fields: Any) -> None:
        answer = self.api.call("PATCH", f"/deployments/{self.id}", fields)
        assert answer.status == 204, answer


@pytest.fixture
def deployed(api: Api) -> Deployed:
    return Deployed(api)


def changed(applied: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {item["field"]: (item["before"], item["after"]) for item in applied["changes"]}


def test_smoke(deployed: Deployed):
    first = deployed.apply(description="one", tags=["a"], parameters={"x": 1}, schedule=NINE)
    assert first["is_new"]
    assert changed(first)["description"] == (None, "one")
    again = deployed.apply(description="one", tags=["a"], parameters={"x": 1}, schedule=NINE)
    assert not again["is_new"]
    assert again["changes"] == again["kept"] == []
    assert again["deployment"] == first["deployment"]
