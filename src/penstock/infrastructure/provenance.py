"""Where every value of an effective infrastructure came from. Pure.

Built on what `apply_overrides` noted while it set the values, so that an explanation cannot say other than what happened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from penstock.infrastructure.base import Job
from penstock.infrastructure.block import Infrastructure, mask_if_secret
from penstock.infrastructure.effective import Effective
from penstock.infrastructure.overrides import Path
from penstock.infrastructure.variables import API_URL, INTERNAL_PREFIX
from penstock.model.base import JSONObject
from penstock.model.block_documents import MASK
from penstock.model.secret_texts import masked

DEFAULT, AGENT, RUN = "default", "agent", "run"


@dataclass(frozen=True)
class Origin:
    """One effective value. `source`: default, the block, the place of an override, the agent, or the run itself."""

    path: str
    value: Any
    source: str


def origins(effective: Effective, block: str | None, job: Job | None = None) -> list[Origin]:
    """Every effective value with its source; secrets are masked. `block`: what the saved block is called, if there is one.

    `job`: the variables and labels that it brings along are told too.
    """
    infrastructure = effective.infrastructure
    defaults = _defaults(type(infrastructure))
    found = [
        Origin(".".join(path), value, effective.sources_of(path) or _of_block(path, value, defaults, block))
        for path, value in _leaves((), infrastructure.snapshot())
    ]
    if job is not None:
        found += _of_job(infrastructure, job)
    return sorted(found, key=lambda origin: _order(infrastructure, origin.path))


def differences(before: JSONObject, after: JSONObject) -> list[tuple[str, Any, Any]]:
    """The places at which two snapshots of configurations differ, with both values; None where one has nothing."""
    old, new = ({".".join(path): value for path, value in _leaves((), data)} for data in (before, after))
    both = {path: (old.get(path), new.get(path)) for path in [*old, *new]}
    return [
        (path, then, now) for path, (then, now) in both.items() if then != now and not (_empty(then) and _empty(now))
    ]


def _empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _of_block(path: Path, value: Any, defaults: JSONObject, block: str | None) -> str:
    return DEFAULT if block is None or _at(defaults, path) == value else block


def _of_job(infrastructure: Infrastructure, job: Job) -> Iterator[Origin]:
    for name, value in {**job.env, **dict.fromkeys(job.secret_env, MASK)}.items():
        own = name.startswith(INTERNAL_PREFIX)
        if own or name not in infrastructure.env:
            source = RUN if own else AGENT
            yield Origin(f"env.{name}", masked(mask_if_secret(name, value)) if name != API_URL else value, source)
    for name, value in job.labels.items():
        if name not in infrastructure.labels:
            yield Origin(f"labels.{name}", value, RUN)


def _order(infrastructure: Infrastructure, path: str) -> int:
    """Values in the order of the block's fields."""
    return [*type(infrastructure).model_fields].index(path.partition(".")[0])


def _defaults(block: type[Infrastructure]) -> JSONObject:
    found: Mapping[str, Any] = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in block.model_fields.items()
        if not field.is_required()
    }
    plain: JSONObject = to_jsonable_python(found)
    return plain


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The single values below `value`; a list of single values is one."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        parts = [(str(index), item) for index, item in enumerate(value)]
    if not parts:
        yield path, value
    for name, item in parts:
        yield from _leaves((*path, name), item)


def _at(data: Any, path: Path) -> Any:
    for name in path:
        if isinstance(data, list):
            data = data[int(name)] if name.isdigit() and int(name) < len(data) else None
        else:
            data = data.get(name) if isinstance(data, dict) else None
    return data
