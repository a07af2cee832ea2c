"""The engine's reports. A plain route, because everything that every task does passes here."""

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from penstock.model.reports import ReportBatch
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import ATTEMPT_HEADER, parse_attempt
from penstock.server.operations.apply_reports import apply_reports

router = APIRouter(tags=["Reports"])
_BATCH = TypeAdapter(ReportBatch)


async def send_reports(request: Request) -> Response:
    """`ReportBatch` → `ReportReceipt`."""
    body = await request.body()
    try:
        batch = _BATCH.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found], body=None) from None
    header = request.headers.get(ATTEMPT_HEADER)
    attempt = parse_attempt(header) if header else None
    return answer(await request.app.state.database.write(apply_reports, batch, attempt=attempt))


router.add_route("/reports", send_reports, methods=["POST"])
router.add_route("/reports/", send_reports, methods=["POST"], include_in_schema=False)
