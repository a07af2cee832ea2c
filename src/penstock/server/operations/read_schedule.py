from typing import Any

from pydantic import TypeAdapter

from penstock.model.schedules import Schedule

_SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


def schedule_from(value: Any) -> Schedule:
    """A schedule from the column that keeps it. Raises ValueError."""
    return _SCHEDULE.validate_python(value)
