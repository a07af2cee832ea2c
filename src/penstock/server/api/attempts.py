"""Attempts: intent, reports, presentation, and how they are read."""

from uuid import UUID

from fastapi import APIRouter, Response

from penstock.model.attempts import AttemptReports, Intent, Presentation, Presented
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.apply_attempt_reports import apply_attempt_reports
from penstock.server.operations.explain_flow_run import explain_flow_run
from penstock.server.operations.present_attempt import present_attempt
from penstock.server.operations.read_attempts import read_attempt, read_attempts
from penstock.server.operations.write_intent import write_intent

router = APIRouter(tags=["Attempts"])


@router.post("/attempts/reports")
async def report_attempts(body: AttemptReports, database: TheDatabase) -> Response:
    """What an agent knows of its attempts; each report stands alone."""
    return answer(await database.write(apply_attempt_reports, body.reports))


@router.post("/attempts/{attempt_id}/intent")
async def intend(attempt_id: UUID, body: Intent, database: TheDatabase) -> Response:
    """Said by the agent before it starts the job."""
    return answer(await database.write(write_intent, attempt_id, body))


@router.post("/attempts/{attempt_id}/present", response_model=Presented)
async def present(attempt_id: UUID, body: Presentation, database: TheDatabase) -> Response:
    """Said by the engine before it loads user code."""
    return answer(await database.write(present_attempt, attempt_id, body))


@router.get("/attempts/{attempt_id}")
async def read_one_attempt(attempt_id: UUID, database: TheDatabase) -> Response:
    return answer(await database.read(read_attempt, attempt_id))


@router.get("/flow_runs/{flow_run_id}/attempts")
async def read_attempts_of_run(flow_run_id: UUID, database: TheDatabase) -> Response:
    return answer(await database.read(read_attempts, flow_run_id))


@router.get("/flow_runs/{flow_run_id}/explain")
async def explain(flow_run_id: UUID, database: TheDatabase) -> Response:
    """One sentence on why the run is where it is."""
    return answer(await database.read(explain_flow_run, flow_run_id))
