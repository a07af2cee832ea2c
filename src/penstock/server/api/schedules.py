"""Schedules by themselves, of no deployment."""

from fastapi import APIRouter, Response

from penstock import clock
from penstock.errors import Invalid
from penstock.model.schedule_previews import PreviewedTime, SchedulePreviewQuery
from penstock.server.api.answers import answer
from penstock.server.rules.schedule_previews import preview

router = APIRouter(prefix="/schedules", tags=["Schedules"])


@router.post("/preview", response_model=list[PreviewedTime])
def read_preview(asked: SchedulePreviewQuery) -> Response:
    """When a schedule would be due, whether or not a deployment has it. Nothing is written."""
    try:
        return answer(list(preview(asked.schedule, asked.after or clock.now(), asked.count)))
    except ValueError as error:
        raise Invalid(str(error), code="schedule") from None
