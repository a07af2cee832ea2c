"""Which fields of a deployment count as said: what its author or its file wrote, and nothing that fell into place."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from penstock.deployments import Deployment
from penstock.infrastructure import Process
from penstock.model.schedules import CronSchedule


def said(**fields: Any) -> dict[str, Any]:
    found = Deployment(name="d", flow_name="f", **fields).said()
    return {name: value for name, value in found.items() if name not in ("name", "flow_name", "timestamp")}


def test_defaults_are_not_said() -> None:
    assert said() == {}
    assert said(tags=[], schedule=None) == {"tags": [], "schedule": None}


def test_a_default_that_was_filled_is_said() -> None:
    deployment = Deployment(name="d", flow_name="f")
    deployment.parameters["x"] = 1
    deployment.tags.append("a")
    found = deployment.said()
    assert (found["parameters"], found["tags"]) == ({"x": 1}, ["a"])
    assert "infra_overrides" not in found


def test_what_was_taken_from_the_server_is_not_said_until_it_is_changed() -> None:
    deployment = Deployment(name="d", flow_name="f")
    deployment.take({"tags": ["a"], "parameters": {"x": 1}, "schedule": CronSchedule(cron="0 9 * * *")})
    assert not {"tags", "parameters", "schedule"} & deployment.said().keys()
    deployment.tags.append("b")
    deployment.update(parameters={"x": 2})
    assert {"tags", "parameters", "schedule"} & deployment.said().keys() == {"tags", "parameters"}


def test_a_block_saved_elsewhere_is_another_one_though_its_fields_are_equal() -> None:
    deployment = Deployment(name="d", flow_name="f")
    one, other = Process(env={"A": "1"}), Process(env={"A": "1"})
    one._block_document_id, other._block_document_id = uuid4(), uuid4()
    deployment.take({"infrastructure": one})
    assert "infrastructure" not in deployment.said()
    deployment.infrastructure = other
    assert deployment.said()["infrastructure"] is deployment.infrastructure


@pytest.mark.parametrize("field", ["tags", "parameters", "infra_overrides"])
def test_null_in_a_file_clears_and_an_absent_field_says_nothing(field: str, tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("name: d\nflow_name: f\n")
    assert field not in Deployment.load_from_yaml(file).said()
    file.write_text(f"name: d\nflow_name: f\n{field}: null\n")
    found = Deployment.load_from_yaml(file)
    assert found.said()[field] is None
    filled: Any = ["a"] if field == "tags" else {"env": {"A": "1"}}
    if field != "parameters":
        found.update(**{field: filled})
        assert found.said()[field] == filled
