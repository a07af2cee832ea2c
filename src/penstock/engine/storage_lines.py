"""What storages tell while they bring a run's code becomes lines of the run, which has no context yet."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.engine.run_logs import report_line
from penstock.engine.session import Session
from penstock.model.flow_runs import FlowRun

_STORAGES = logging.getLogger("penstock.storage")


class _Lines(logging.Handler):
    def __init__(self, session: Session, flow_run: FlowRun) -> None:
        super().__init__(logging.INFO)
        self._session, self._flow_run = session, flow_run

    def emit(self, record: logging.LogRecord) -> None:
        try:
            report_line(self._session, self._flow_run, record.levelno, record.getMessage())
        except Exception:
            self.handleError(record)


@contextmanager
def storages_tell(session: Session, flow_run: FlowRun) -> Iterator[None]:
    """In the body, what storages log is a line of `flow_run`: how many files and bytes there are, and how far they have come."""
    handler, before = _Lines(session, flow_run), _STORAGES.level
    _STORAGES.addHandler(handler)
    if not _STORAGES.isEnabledFor(logging.INFO):
        _STORAGES.setLevel(logging.INFO)
    try:
        yield
    finally:
        _STORAGES.removeHandler(handler)
        _STORAGES.setLevel(before)
