"""From a claim to the request of a process."""

import sys
from typing import Any
from uuid import UUID, uuid4

import pytest

from penstock.errors import ConfigurationError, Unsupported
from penstock.infrastructure import Process, registry
from penstock.infrastructure.base import Job
from penstock.infrastructure.job import build_job, with_block
from penstock.infrastructure.process.render import ProcessRequest, render
from penstock.model.attempts import Attempt, AttemptStatus, Claim, InfrastructureDocument
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow


def a_claim(
    document: InfrastructureDocument | None = None, run: dict[str, Any] | None = None, **deployment: Any
) -> Claim:
    flow = Flow(id=uuid4(), name="My Flow")
    flow_run = FlowRun(id=uuid4(), name="nice-owl", flow_id=flow.id, **(run or {}))
    attempt = Attempt(id=uuid4(), flow_run_id=flow_run.id, number=1, status=AttemptStatus.CLAIMED)
    return Claim(
        attempt=attempt,
        token="the-token",
        flow_run=flow_run,
        flow=flow,
        deployment=Deployment(id=uuid4(), name="daily", flow_id=flow.id, **deployment),
        infrastructure=document,
    )


def a_job(claim: Claim | None = None) -> Job:
    return build_job(claim or a_claim(), "http://x/api", {"PENSTOCK_LOGGING_LEVEL": "DEBUG"}, "owner-1")


def test_a_job_carries_its_attempt_and_the_token_travels_apart() -> None:
    claim = a_claim()
    job = a_job(claim)
    assert job.env == {
        "PENSTOCK_LOGGING_LEVEL": "DEBUG",
        "PENSTOCK_API_URL": "http://x/api",
        "PENSTOCK__FLOW_RUN_ID": str(claim.flow_run.id),
        "PENSTOCK__ATTEMPT_ID": str(claim.attempt.id),
    }
    assert job.secret_env == {"PENSTOCK__ATTEMPT_TOKEN": "the-token"}
    assert job.name == f"nice-owl-{claim.attempt.id.hex}"
    assert job.title == "nice-owl"


def test_a_job_is_labelled_with_what_it_belongs_to() -> None:
    claim = a_claim()
    labels = a_job(claim).labels
    assert labels["penstock.io/owner"] == "owner-1"
    assert UUID(labels["penstock.io/attempt-id"]) == claim.attempt.id
    assert UUID(labels["penstock.io/flow-run-id"]) == claim.flow_run.id
    assert labels["penstock.io/flow-run-name"] == "nice-owl"
    assert labels["penstock.io/flow-name"] == "My Flow"
    assert labels["penstock.io/deployment-name"] == "daily"


def test_a_name_that_was_written_down_before_is_kept() -> None:
    claim = a_claim()
    claim.attempt.job_name = "an-older-name"
    assert a_job(claim).name == "an-older-name"


def test_the_block_wins_but_cannot_take_the_attempt_away() -> None:
    block = Process(
        env={"PENSTOCK_LOGGING_LEVEL": None, "PENSTOCK_API_URL": "http://y/api", "PENSTOCK__ATTEMPT_ID": "forged"},
        labels={"penstock.io/flow-name": "another", "penstock.io/attempt-id": "forged", "team": "data"},
        name="title",
        command=["true"],
    )
    job = a_job()
    merged = with_block(job, block)
    assert merged.env["PENSTOCK_LOGGING_LEVEL"] is None
    assert merged.env["PENSTOCK_API_URL"] == "http://y/api"
    assert merged.env["PENSTOCK__ATTEMPT_ID"] == str(job.attempt_id)
    assert merged.labels["penstock.io/flow-name"] == "another"
    assert merged.labels["penstock.io/attempt-id"] == job.labels["penstock.io/attempt-id"]
    assert merged.labels["team"] == "data"
    assert (merged.title, tuple(merged.command), merged.name) == ("title", ("true",), job.name)
    assert with_block(merged, block) == merged


def test_a_request_is_what_the_block_and_the_job_say() -> None:
    job = a_job()
    request = registry.render(Process(env={"A": "1", "B": None}, working_dir="~/flows"), job)
    assert isinstance(request, ProcessRequest)
    assert request.argv == (sys.executable, "-m", "penstock.engine")
    assert request.env == {**job.env, "A": "1"}
    assert request.unset == ("B",)
    assert request.cwd is not None
    assert "~" not in request.cwd
    assert request.cold_reason is None


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Process(command=["python", "-m", "penstock.engine"]), "command"),
        (Process(env={"PYTHONPATH": "/x"}), "PYTHONPATH"),
        (Process(env={"LD_PRELOAD": None}), "LD_PRELOAD"),
    ],
)
def test_a_request_says_why_it_cannot_be_warm(block: Process, reason: str) -> None:
    assert reason in (render(block, a_job()).cold_reason or "")


@pytest.mark.parametrize("block", [Process(env={"A=B": "x"}), Process(env={"": "x"}), Process(command=["a\0b"])])
def test_what_no_process_can_have_is_refused_before_anything_starts(block: Process) -> None:
    with pytest.raises(Unsupported):
        render(block, a_job())


def test_neither_a_shown_request_nor_its_repr_has_the_token() -> None:
    request = render(Process(env={"A": "x y"}), a_job())
    assert "the-token" not in request.to_text() + repr(request)
    assert "A='x y' \\\n" in request.to_text()
    assert request.to_text().endswith("-m penstock.engine")


def test_a_preview_shows_variables_and_command_and_masks_what_is_named_like_a_secret() -> None:
    block = Process(env={"A": "1", "DB_PASSWORD": "hush", "GONE": None}, working_dir="/a b", command="run it")
    assert block.preview() == "cd '/a b' && \\\nunset GONE; \\\nA=1 \\\nDB_PASSWORD='********' \\\nrun it"


def test_overrides_of_the_deployment_and_then_of_the_run_change_the_block() -> None:
    claim = a_claim(
        InfrastructureDocument(slug="process", data={"env": {"A": "block", "B": "block", "C": "block"}}),
        run={"job_variables": {"env.C": "run"}},
        infra_overrides={"env.B": "deployment", "env.C": "deployment", "stream_output": "false"},
    )
    block = registry.resolve(claim)
    assert isinstance(block, Process)
    assert block.env == {"A": "block", "B": "deployment", "C": "run"}
    assert block.stream_output is False


def test_no_document_is_a_local_process() -> None:
    assert isinstance(registry.resolve(a_claim()), Process)
    assert isinstance(registry.infrastructure_from(None), Process)


@pytest.mark.parametrize(
    ("document", "overrides", "said"),
    [
        (None, {"enw.A": "x"}, "'env'"),
        (None, {"working_dri": "x"}, "'working_dir'"),
        (InfrastructureDocument(slug="proces"), {}, "'process'"),
        (InfrastructureDocument(slug="string", data={"value": "x"}), {}, "no infrastructure"),
        (InfrastructureDocument(slug="process", data={"labels": 1}), {}, "labels"),
        (None, {"run_timeout": "-1"}, "run_timeout"),
        (None, {"grace_seconds": "inf"}, "grace_seconds: it has to be a finite number, not 'inf'"),
        (None, {"cancel_timeout": "nan"}, "cancel_timeout: it has to be a finite number, not 'nan'"),
    ],
)
def test_what_cannot_be_used_is_told_with_the_nearest_name(
    document: InfrastructureDocument | None, overrides: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        registry.infrastructure_from(document, overrides)
    assert said in refused.value.message


def test_an_unknown_type_has_no_driver() -> None:
    with pytest.raises(ConfigurationError, match="'process'"):
        registry.driver_for("proces")


def test_limits_are_the_blocks_and_the_start_limit_that_was_not_set_is_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_ATTEMPT_START_LIMIT", "77")
    assert Process().limits().start == 77
    assert Process.model_validate(Process().to_document_data()).limits().start == 77
    limits = Process(start_timeout=None, run_timeout=5, cancel_timeout=6, grace_seconds=0).limits()
    assert (limits.start, limits.run, limits.cancel, limits.grace) == (None, 5, 6, 0)


def test_a_snapshot_keeps_no_secrets() -> None:
    snapshot = Process(env={"API_KEY": "hush", "LEVEL": "debug"}).snapshot()
    assert snapshot["env"] == {"API_KEY": "********", "LEVEL": "debug"}


def test_numbers_in_an_environment_become_text_and_a_command_may_be_a_line() -> None:
    block = Process.model_validate({"env": {"A": 1, "B": True, "C": None}, "command": "run 'a b'"})
    assert block.env == {"A": "1", "B": "True", "C": None}
    assert block.command == ["run", "a b"]
    assert Process.model_validate({"command": '["a", "b"]'}).command == ["a", "b"]
