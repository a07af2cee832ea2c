"""Reads a deployment file: every name in it is known, every fault is told with its line.

From text to the fields of a `Deployment`. Blocks that are saved under a name are loaded from the server, which is how
their secrets come back.
"""

import os
from collections.abc import Collection, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from penstock.errors import ConfigurationError, ParameterError, PenstockError, did_you_mean
from penstock.infrastructure.process.config import Process
from penstock.model.base import JSONObject
from penstock.model.deployments import DeploymentScheduleCreate
from penstock.model.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from penstock.sdk import block_data, deployment_yaml, yaml_lines
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.sdk.yaml_lines import Lines

Fields = TypeVar("Fields", bound=DeploymentFields)

_SCHEDULES: dict[str, type[BaseModel]] = {"interval": IntervalSchedule, "cron": CronSchedule, "rrule": RRuleSchedule}
#: Fields whose null means that there are none.
_COLLECTIONS = {"tags": list, "parameters": dict, "infra_overrides": dict, "parameter_openapi_schema": dict}
#: Fields that are text, whatever a number in their place would be.
_TEXTS = ("name", "flow_name", "description", "version", "work_queue_name", "work_pool_name")
_PARAMETER_SCHEMA = (
    "title", "type", "properties", "required", "definitions", "$defs", "description", "additionalProperties",
)  # fmt: skip
#: The command of every deployment file of early versions of Prefect 2. It starts their engine; null starts ours.
_FORMER_ENGINE = ["-m", "prefect.engine"]


def read(path: str | PathLike[str]) -> Lines:
    """The names and values in the file at `path`.

    Raises ConfigurationError with the line: for what is no YAML, for a name that a deployment has not, with the nearest
    one, and if the file is not of a deployment.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", code="deployment_file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no text: {error}.", code="deployment_file") from None
    return parse(text, str(path))


def write(path: str | PathLike[str], text: str) -> None:
    """Write the file at `path` as a whole or not at all. Raises ConfigurationError if that cannot be."""
    target = Path(path).resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        if target.exists():
            draft.chmod(target.stat().st_mode)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.", code="deployment_file") from None


def parse(text: str, source: str) -> Lines:
    """As `read`, of a file's text; `source` names it in errors."""
    lines = yaml_lines.read(text, source)
    if not lines.values:
        raise ConfigurationError(f"{source} does not hold a deployment.", code="deployment_file")
    _refuse_unknown(lines, (), deployment_yaml.KNOWN, "a deployment")
    for name in ("name", "flow_name"):
        if not lines.values.get(name):
            raise lines.error(f"the field {name!r} is missing or empty.", (name,))
    if lines.values.get("triggers"):
        raise lines.error("triggers are not supported.", ("triggers",), hint="Remove them from the file.")
    _check_mapping(lines, ("parameter_openapi_schema",), _PARAMETER_SCHEMA, "a flow's parameter schema")
    _check_mapping(lines, (deployment_yaml.BUILT_FROM,), ("version", "description"), deployment_yaml.BUILT_FROM)
    return lines


def is_of(lines: Lines, flow_name: str | None, name: str) -> bool:
    """Whether the file is that of the deployment `name` of that flow."""
    return (lines.written(("flow_name",)), lines.written(("name",))) == (flow_name, name)


def fields(lines: Lines, without: Collection[str] = ()) -> JSONObject:
    """The fields of the deployment that a file describes, but for `without`. Raises ConfigurationError with the line."""
    found = {name: value for name, value in lines.values.items() if name not in without}
    found.pop("triggers", None)
    found.pop(deployment_yaml.BUILT_FROM, None)
    found |= {name: lines.written((name,)) for name in _TEXTS if name in found}
    for name, kind in _COLLECTIONS.items():
        if name in found and found[name] is None:
            found[name] = kind()
    if "schedule" in found:
        found["schedule"] = _schedule(lines, ("schedule",))
    if found.get("schedules"):
        found["schedules"] = _schedules(lines)
    elif "schedule" in found:
        found.pop("schedules", None)  # Prefect 2.20 writes an empty list beside the one schedule
    for name in ("infrastructure", "storage"):
        if name in found:
            found[name] = _block(lines, name)
    if found.get("infrastructure", ...) is None:
        found["infrastructure"] = Process()
    return found


def described(kind: type[Fields], lines: Lines, without: Collection[str] = ()) -> Fields:
    """The deployment that a file describes; of the fields in `without`, their defaults. Raises ConfigurationError."""
    values = fields(lines, without)
    try:
        found = kind(**values)
        found._cleared = frozenset(name for name in _COLLECTIONS if lines.values.get(name, ...) is None)
        return found
    except ValidationError as error:
        loc = error.errors(include_url=False, include_input=False)[0]["loc"]
        raise lines.error(block_data.faults(error), loc) from None


def check(lines: Lines, deployment: DeploymentFields) -> None:
    """Raise what is wrong between the fields of a deployment that was read from `lines`, with the line."""
    try:
        deployment.check()
    except ParameterError as error:
        raise ParameterError(str(lines.error(error.message, ("parameters",))), hint=error.hint) from None
    except ConfigurationError as error:
        raise lines.error(error.message, ("infra_overrides",), hint=error.hint) from None


def _refuse_unknown(lines: Lines, path: yaml_lines.Path, known: Iterable[str], what: str) -> None:
    for name in lines.at(path) if path else lines.values:
        if name not in known:
            near = did_you_mean(str(name), known)
            raise lines.error(f"{what} has no field {name!r}.{near}", (*path, name))


def _check_mapping(lines: Lines, path: yaml_lines.Path, known: Iterable[str], what: str) -> None:
    value = lines.at(path)
    if value is None:
        return
    if not isinstance(value, dict):
        raise lines.error(f"{what} is a mapping of names and values, not {value!r}.", path)
    _refuse_unknown(lines, path, known, what)


def _schedule(lines: Lines, path: yaml_lines.Path) -> Any:
    value = lines.at(path)
    if value is None:
        return None
    kinds = [kind for kind in _SCHEDULES if isinstance(value, dict) and kind in value]
    known = {name for kind in kinds or _SCHEDULES for name in _SCHEDULES[kind].model_fields}
    _check_mapping(lines, path, known, "a schedule")
    if len(kinds) != 1:
        given = f"has {' and '.join(kinds)}" if kinds else "has neither"
        raise lines.error(f"a schedule has one of interval, cron and rrule; this one {given}.", path)
    return _validated(_SCHEDULES[kinds[0]], value, lines, path)


def _schedules(lines: Lines) -> list[Any]:
    found = []
    items = lines.at(("schedules",))
    if not isinstance(items, list):
        raise lines.error("schedules is a list, each with `schedule: …`.", ("schedules",))
    for index, item in enumerate(items):
        path = ("schedules", index)
        _check_mapping(lines, path, DeploymentScheduleCreate.model_fields, "an item of schedules")
        if not isinstance(item, dict) or item.get("schedule") is None:
            raise lines.error("an item of schedules needs a schedule.", path)
        schedule = _schedule(lines, (*path, "schedule"))
        found.append(_validated(DeploymentScheduleCreate, {**item, "schedule": schedule}, lines, path))
    return found


def _validated(model: type[BaseModel], value: JSONObject, lines: Lines, path: yaml_lines.Path) -> Any:
    try:
        return model(**value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise lines.error(f"{path[0]}: {block_data.faults(error)}", (*path, *first["loc"])) from None


def _block(lines: Lines, name: str) -> Any:
    value = lines.at((name,))
    if isinstance(value, dict) and isinstance(value.get("command"), list) and value["command"][1:] == _FORMER_ENGINE:
        value = {**value, "command": None}
    try:
        return block_data.from_file(value, name)
    except PenstockError as error:
        message = str(lines.error(error.message, (name,)))
        raise type(error)(message, code=error.code, hint=error.hint) from None
