"""Calls about attempts: how agents and engines keep them true, and how people look at them."""

from typing import TYPE_CHECKING
from uuid import UUID

from penstock.client.call import Call, segment

if TYPE_CHECKING:
    from penstock.model.attempts import (
        AgentOrders,
        AgentPoll,
        Attempt,
        AttemptReportResult,
        AttemptReports,
        Intent,
        Presentation,
        Presented,
    )


def poll(request: "AgentPoll") -> "Call[AgentOrders]":
    """An agent's long poll. Repeated under the same `request_id`, it brings the same claims."""
    return Call("POST", "/agents/poll", _orders, body=request, patience=request.wait_seconds)


def write_intent(attempt_id: UUID, intent: "Intent") -> "Call[Attempt]":
    """Write down what is about to be started. Raises Conflict when sent if the attempt may not be launched."""
    return Call("POST", f"/attempts/{segment(attempt_id)}/intent", _attempt, body=intent)


def send_attempt_reports(reports: "AttemptReports") -> "Call[list[AttemptReportResult]]":
    return Call("POST", "/attempts/reports", _report_results, body=reports)


def present(attempt_id: UUID, presentation: "Presentation") -> "Call[Presented]":
    """Show the attempt's token. Raises Conflict when sent if it is superseded or was presented by another process."""
    return Call("POST", f"/attempts/{segment(attempt_id)}/present", _presented, body=presentation)


def read_attempt(attempt_id: UUID) -> "Call[Attempt]":
    return Call("GET", f"/attempts/{segment(attempt_id)}", _attempt)


def read_attempts(flow_run_id: UUID) -> "Call[list[Attempt]]":
    """All attempts of a run, by number."""
    return Call("GET", f"/flow_runs/{segment(flow_run_id)}/attempts", _attempts)


def _orders() -> "type[AgentOrders]":
    from penstock.model.attempts import AgentOrders

    return AgentOrders


def _attempt() -> "type[Attempt]":
    from penstock.model.attempts import Attempt

    return Attempt


def _attempts() -> "type[list[Attempt]]":
    from penstock.model.attempts import Attempt

    return list[Attempt]


def _report_results() -> "type[list[AttemptReportResult]]":
    from penstock.model.attempts import AttemptReportResult

    return list[AttemptReportResult]


def _presented() -> "type[Presented]":
    from penstock.model.attempts import Presented

    return Presented
