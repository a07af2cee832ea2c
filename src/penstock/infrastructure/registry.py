"""Finds what belongs to an infrastructure type by its slug: the block, how it is rendered, and the driver.

The caller's way from a claim to a running job:

    infrastructure = resolve(claim)                  block + overrides
    request = render(infrastructure, build_job(…))   pure: exactly what will be sent
    handle = await driver_for(infrastructure.type).start(request)
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from penstock.blocks.registry import find_block
from penstock.blocks.schema import block_schema
from penstock.errors import ConfigurationError, did_you_mean
from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.overrides import apply_overrides
from penstock.model.attempts import Claim, InfrastructureDocument
from penstock.model.base import JSONObject

#: slug -> package that holds `config`, `render` and `driver`
_PACKAGES = {"process": "penstock.infrastructure.process"}
DEFAULT = "process"


@dataclass(frozen=True)
class Platform:
    """What runs the jobs of one infrastructure type: how its requests are made, and its driver."""

    render: Callable[[Any, Job], Any]
    create_driver: Callable[[], Driver]


#: Those that were made known in this process only.
_registered: dict[str, Platform] = {}


def register(slug: str, platform: Platform) -> None:
    """Make an infrastructure type known in this process. Its block is found like any other."""
    _registered[slug] = platform


def known_types() -> list[str]:
    """Slugs of the infrastructure types that can run jobs here."""
    return sorted({*_PACKAGES, *_registered})


def driver_for(type_slug: str) -> Driver:
    """A new driver for jobs of that type. Raises ConfigurationError with the nearest slug if there is none."""
    return _platform(type_slug).create_driver()


def render(infrastructure: Infrastructure, job: Job) -> Any:
    """The exact request that `Driver.start` will send. Raises `Unsupported` if the platform cannot do what is asked."""
    return _platform(infrastructure.get_block_type_slug()).render(infrastructure, job)


def infrastructure_from(
    document: InfrastructureDocument | None,
    overrides: Mapping[str, Any] | str | None = None,
    place: str = "infra_overrides",
) -> Infrastructure:
    """The infrastructure that a saved document describes, with `overrides` applied. No document: a local process.

    Raises ConfigurationError that names the place and the field.
    """
    slug = document.slug if document else DEFAULT
    return _build(slug, _override(slug, dict(document.data) if document else {}, overrides, place))


def resolve(claim: Claim) -> Infrastructure:
    """The infrastructure of a claimed run: its document, changed by its deployment, changed by the run itself."""
    slug = claim.infrastructure.slug if claim.infrastructure else DEFAULT
    data: JSONObject = dict(claim.infrastructure.data) if claim.infrastructure else {}
    if claim.deployment is not None:
        where = f"of deployment '{claim.flow.name}/{claim.deployment.name}'"
        data = _override(slug, data, claim.deployment.infra_overrides, f"infra_overrides {where}")
        data = _override(slug, data, claim.deployment.job_variables, f"job_variables {where}")
    data = _override(slug, data, claim.flow_run.job_variables, f"job_variables of flow run '{claim.flow_run.name}'")
    return _build(slug, data)


def _override(slug: str, data: JSONObject, overrides: Mapping[str, Any] | str | None, place: str) -> JSONObject:
    return apply_overrides(data, overrides, _schema_of(_block_class(slug)), place) if overrides else data


@lru_cache(maxsize=64)
def _schema_of(block: type[Infrastructure]) -> JSONObject:
    """Not to be changed by who gets it. Kept, because making it takes longer than all the rest of a launch."""
    return block_schema(block)


def _build(slug: str, data: JSONObject) -> Infrastructure:
    try:
        return _block_class(slug).model_validate(data)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc']) or slug}: {item['msg']}" for item in error.errors()]
        raise ConfigurationError(f"The {slug} infrastructure cannot be used: {'; '.join(lines)}") from None


def _block_class(slug: str) -> type[Infrastructure]:
    found = find_block(slug)
    if not issubclass(found, Infrastructure):
        raise ConfigurationError(
            f"A block of type {slug!r} is no infrastructure: it cannot run jobs.", hint=f"Use one of {known_types()}."
        )
    return found


def _platform(slug: str) -> Platform:
    found = _registered.get(slug)
    if found is not None:
        return found
    package = _PACKAGES.get(slug)
    if package is None:
        raise ConfigurationError(
            f"There is no infrastructure type {slug!r} here.{did_you_mean(slug, known_types())}",
            code="unknown_infrastructure",
            hint=f"This agent can run {', '.join(known_types())}.",
        )
    return Platform(
        render=importlib.import_module(f"{package}.render").render,
        create_driver=importlib.import_module(f"{package}.driver").create,
    )
