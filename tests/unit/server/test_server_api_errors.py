import pytest

from penstock import errors
from penstock.model.filters import FlowRunQuery
from penstock.model.reports import ReportBatch
from penstock.server.api.access import opens_to_engines
from penstock.server.api.errors import explain, fields_at, status_of
from penstock.server.api.protocol import check_version
from penstock.server.binding import is_loopback


def test_fields_are_known_through_lists_and_options() -> None:
    assert "scheduled_time" in fields_at(ReportBatch, ["task_runs", 0, "states", 3, "state_details"])
    assert "any_" in fields_at(FlowRunQuery, ["flow_runs", "state", "type"])
    assert fields_at(ReportBatch, ["stream", "x"]) == []


def test_an_unknown_field_far_from_every_known_one_lists_them() -> None:
    problem = {"loc": ("body", "flow_runs", "zzz"), "type": "extra_forbidden", "msg": ""}
    message, hint = explain(problem, FlowRunQuery)
    assert message == "There is no field 'flow_runs.zzz'."
    assert hint is not None
    assert "idempotency_key" in hint


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), 404),
        (errors.NotAuthorized("x"), 401),
        (errors.Invalid("x"), 422),
        (errors.Conflict("x"), 409),
        (errors.Refused("x"), 409),
        (errors.Unreachable("x", status=503), 503),
        (errors.ConfigurationError("x"), 400),
    ],
)
def test_every_error_has_its_status(error: errors.PenstockError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize("version", [None, "0.8.0", "0.8.4", "0.9.0", "1.0.0"])
def test_versions_that_are_understood(version: str | None) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["0.7.9", "x", "1.2", "0.8.4.1", ""])
def test_versions_that_are_refused(version: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        check_version(version)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("method", "path", "open_"),
    [
        ("POST", "/api/reports", True),
        ("POST", "/api/flow_runs/5/set_state", True),
        ("POST", "/api/flow_runs/", True),
        ("GET", "/api/flow_runs/5", True),
        ("DELETE", "/api/flow_runs/5", False),
        ("POST", "/api/agents/poll", False),
        ("POST", "/api/attempts/reports", False),
        ("POST", "/api/attempts/5/present", True),
        ("POST", "/api/admin/database/clear", False),
        ("GET", "/api/admin/settings", False),
        ("DELETE", "/api/flows/5", False),
        ("GET", "/api/variables/name/v", True),
        ("POST", "/api/variables/", True),
        ("PATCH", "/api/variables/name/v", True),
        ("DELETE", "/api/variables/name/v", True),
        ("DELETE", "/api/variables/5", False),
        ("POST", "/api/artifacts/", True),
        ("GET", "/api/artifacts/k/latest", True),
        ("PATCH", "/api/artifacts/5", True),
        ("DELETE", "/api/artifacts/5", False),
        ("POST", "/api/flow_runs/5/input", True),
        ("POST", "/api/flow_runs/5/input/filter", True),
        ("DELETE", "/api/flow_runs/5/input/k", True),
        ("POST", "/api/flow_runs/5/other", False),
        ("GET", "/api/block_types/slug/secret/block_documents/name/n", True),
        ("GET", "/api/block_documents/5", True),
        ("POST", "/api/block_documents/", True),
        ("PATCH", "/api/block_documents/5", True),
        ("DELETE", "/api/block_documents/5", False),
        ("POST", "/api/block_documents/rotate-keys", False),
        ("POST", "/api/block_documents/drop-old-keys", False),
        ("POST", "/api/block_types/install_system_block_types", False),
    ],
)
def test_an_engine_gets_where_it_has_business_and_nowhere_else(method: str, path: str, open_: bool) -> None:
    assert opens_to_engines(method, path) is open_


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.9.9.9", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("box", False),
    ],
)
def test_only_loopback_is_open(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
