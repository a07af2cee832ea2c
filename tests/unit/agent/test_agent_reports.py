"""Reports of attempts: merging loses nothing, batches are bounded, and no report is lost while the server is away."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.reports import BATCH_CHARACTERS, BATCH_REPORTS, Reports, merged, next_batch
from penstock.errors import APIError, Invalid, Unreachable
from penstock.model.attempts import (
    AgentPoll,
    AttemptReport,
    AttemptReportResult,
    AttemptReports,
    AttemptStatus,
    Exit,
    Observation,
)

AGENT = uuid4()
ATTEMPT = uuid4()
NOW = datetime(2026, 1, 1, tzinfo=UTC)

statuses = st.sampled_from(["PENDING", "RUNNING", "ENDED", "MISSING", "UNKNOWN"])
observations = st.builds(
    Observation, status=statuses, observed_at=st.just(NOW), exit=st.none() | st.builds(Exit, code=st.integers(0, 3))
)


@st.composite
def reports(draw: st.DrawFn) -> AttemptReport:
    given_fields: dict[str, Any] = {}
    for name, values in {
        "handle": st.dictionaries(st.just("pid"), st.integers(1, 9), min_size=1),
        "observation": observations,
        "output_tail": st.text(max_size=5),
        "failure": st.booleans(),
        "gone": st.booleans(),
        "message": st.text(max_size=5),
    }.items():
        if draw(st.booleans()):
            given_fields[name] = draw(values)
    return AttemptReport(attempt_id=ATTEMPT, agent_id=AGENT, **given_fields)


@given(st.lists(reports(), min_size=1, max_size=6))
def test_a_merged_report_says_all_that_its_parts_said_and_the_newest_wins(parts: list[AttemptReport]) -> None:
    whole: AttemptReport | None = None
    for part in parts:
        whole = merged(whole, part)
    assert whole is not None
    for name in ("handle", "output_tail", "message"):
        said = [value for part in parts if (value := getattr(part, name)) is not None]
        assert getattr(whole, name) == (said[-1] if said else None)
    assert whole.failure == any(part.failure for part in parts)
    assert whole.gone == any(part.gone for part in parts)


def test_words_that_are_no_text_can_be_reported() -> None:
    words = "no folder b\udcfccher\x00"
    exited = Exit(code=1, message=words)
    seen = Observation(status="ENDED", observed_at=NOW, message=words, waiting_for=words, exit=exited)
    report = AttemptReport(
        attempt_id=ATTEMPT, agent_id=AGENT, observation=seen, message=words, hint=words, output_tail=words
    )
    sent = AttemptReports(reports=[report]).model_dump_json()
    assert AttemptReports.model_validate_json(sent).reports == [report]
    assert sent.count("no folder b\\\\udcfccher\\\\x00") == 6
    assert AgentPoll(agent_id=AGENT, request_id=ATTEMPT, name="a", away={"fake": words}).model_dump_json()


@given(st.lists(reports(), min_size=1, max_size=6))
def test_an_end_that_was_seen_is_never_unsaid(parts: list[AttemptReport]) -> None:
    whole: AttemptReport | None = None
    for part in parts:
        whole = merged(whole, part)
    assert whole is not None
    ends = [part.observation for part in parts if part.observation and part.observation.status == "ENDED"]
    if ends:
        assert whole.observation == ends[-1]


def _waiting(count: int, tail: str | None = None) -> dict[UUID, AttemptReport]:
    made = [AttemptReport(attempt_id=uuid4(), agent_id=AGENT, output_tail=tail) for _ in range(count)]
    return {report.attempt_id: report for report in made}


def test_a_batch_holds_a_bounded_number_of_reports_in_the_order_they_came() -> None:
    waiting = _waiting(BATCH_REPORTS + 1)
    assert next_batch(waiting) == list(waiting.values())[:BATCH_REPORTS]


def test_a_batch_holds_a_bounded_amount_of_output_but_always_one_report() -> None:
    assert len(next_batch(_waiting(3, "x" * (BATCH_CHARACTERS + 1)))) == 1
    assert len(next_batch(_waiting(40, "x" * (BATCH_CHARACTERS // 20)))) == 20


class ScriptedServer:
    """Answers each request with the next of `script`: an error, or None for success. Remembers what it took."""

    def __init__(self, *script: APIError | None) -> None:
        self.script = list(script)
        self.requests: list[list[AttemptReport]] = []
        self.taken: list[AttemptReport] = []

    async def send(self, call: Any) -> list[AttemptReportResult]:
        body = call.body
        assert isinstance(body, AttemptReports)
        self.requests.append(body.reports)
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step
        self.taken += body.reports
        return [AttemptReportResult(attempt_id=r.attempt_id, status=AttemptStatus.RUNNING) for r in body.reports]


def _run(server: ScriptedServer, *batches: AttemptReport) -> list[AttemptReport]:
    acknowledged: list[AttemptReport] = []

    async def scenario() -> None:
        reports = Reports(server, lambda report, _result: acknowledged.append(report))  # type: ignore[arg-type]
        for report in batches:
            reports.add(report)
        task = asyncio.create_task(reports.run())
        async with asyncio.timeout(120):
            await reports.flushed()
        task.cancel()

    asyncio.run(scenario())
    return acknowledged


@pytest.mark.parametrize("error", [Unreachable("away"), APIError("busy", status=503)])
def test_a_report_is_sent_again_until_the_server_has_it(error: APIError) -> None:
    report = AttemptReport(attempt_id=ATTEMPT, agent_id=AGENT, gone=True)
    server = ScriptedServer(error, error, None)
    assert _run(server, report) == [report]
    assert len(server.requests) == 3


def test_a_report_that_the_server_cannot_read_holds_up_no_other() -> None:
    bad, good = (AttemptReport(attempt_id=uuid4(), agent_id=AGENT) for _ in range(2))
    server = ScriptedServer(Invalid("no", status=422), Invalid("no", status=422), None)
    assert _run(server, bad, good) == [good]
    assert server.taken == [good]


def test_an_end_that_the_server_cannot_read_is_told_bare() -> None:
    exited = Exit(code=3, message="words", source="pod")
    seen = Observation(status="ENDED", observed_at=NOW, message="words", exit=exited)
    end = AttemptReport(attempt_id=ATTEMPT, agent_id=AGENT, observation=seen, output_tail="words", gone=True)
    refusals = [Invalid("no", status=422)] * 2
    server = ScriptedServer(*refusals)
    [told] = _run(server, end)
    assert told.gone
    assert told.observation == Observation(status="ENDED", observed_at=NOW, exit=Exit(code=3))
    assert "words" not in told.model_dump_json()
    nobody = ScriptedServer(*refusals, *refusals)
    assert _run(nobody, end) == [], "one that is refused so as well is given up"
