"""Formatters that a logging file can name."""

import json
import logging
import traceback
from collections.abc import Mapping
from typing import Any, Literal

#: What is on a record for us, not for those who read it.
_INTERNAL = frozenset({"penstock_run", "penstock_taken", "penstock_title"})


class PenstockFormatter(logging.Formatter):
    """A format of their own for lines of flow runs and task runs, whose names they may use: ``%(flow_run_name)s``.

    `format`, `flow_run_fmt` and `task_run_fmt` are in the style `style`; without the latter two, `format` is for all.
    """

    def __init__(
        self,
        format: str | None = None,  # noqa: A002 - the key in logging files
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        validate: bool = True,
        *,
        defaults: Mapping[str, Any] | None = None,
        task_run_fmt: str | None = None,
        flow_run_fmt: str | None = None,
    ) -> None:
        super().__init__(format, datefmt, style, validate, defaults=defaults)
        self._plain = self._style

        def style_of(fmt: str | None) -> logging.PercentStyle:
            return logging.Formatter(fmt, None, style, validate, defaults=defaults)._style if fmt else self._plain

        self._of_flow_runs, self._of_task_runs = style_of(flow_run_fmt), style_of(task_run_fmt)

    def formatMessage(self, record: logging.LogRecord) -> str:
        if hasattr(record, "task_run_id"):
            style = self._of_task_runs
        else:
            style = self._of_flow_runs if hasattr(record, "flow_run_id") else self._plain
        return style.format(record)

    def usesTime(self) -> bool:
        return any(style.usesTime() for style in (self._plain, self._of_flow_runs, self._of_task_runs))


class JsonFormatter(logging.Formatter):
    """One JSON object for each record: on one line (format "default"), or indented ("pretty")."""

    def __init__(self, fmt: str = "default", dmft: str | None = None, style: str = "%", *_: Any, **__: Any) -> None:
        if fmt not in {"default", "pretty"}:
            raise ValueError(f"the format of JSON lines is 'default' or 'pretty', not {fmt!r}")
        super().__init__(datefmt=dmft)
        self._indent = 2 if fmt == "pretty" else None

    def format(self, record: logging.LogRecord) -> str:
        found = {key: value for key, value in record.__dict__.items() if key not in _INTERNAL}
        found["message"] = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            found["exc_info"] = {
                "type": kind.__name__,
                "message": str(error),
                "traceback": "".join(traceback.format_tb(trace)),
            }
        return json.dumps(found, default=str, indent=self._indent, ensure_ascii=False)
