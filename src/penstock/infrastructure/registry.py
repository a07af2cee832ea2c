"""Finds what belongs to an infrastructure type by its slug: the block, how it is rendered, and the driver.

The caller's way from a claim to a running job:

    infrastructure = resolve(claim)                  block + overrides
    request = render(infrastructure, build_job(…))   pure: exactly what will be sent
    handle = await driver_for(infrastructure.type).start(request)
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.blocks.extras import import_extra
from penstock.errors import ConfigurationError, did_you_mean
from penstock.infrastructure.base import Driver, Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.effective import Layer, effective, layers_of
from penstock.model.attempts import Claim, InfrastructureDocument
from penstock.version import __version__

#: slug -> package that holds `config` and `render`, and `driver` where this version has it
_PACKAGES = {
    "azure-container-instance-job": "penstock.infrastructure.aci",
    "cloud-run-job": "penstock.infrastructure.cloud_run",
    "docker-container": "penstock.infrastructure.docker",
    "ecs-task": "penstock.infrastructure.ecs",
    "kubernetes-job": "penstock.infrastructure.kubernetes",
    "process": "penstock.infrastructure.process",
}
#: Other words that mean a type: what the field `type` of its blocks says where that is not the slug.
_OTHER_WORDS = {"container-instance-job": "azure-container-instance-job"}
#: slug -> the module that the driver needs, and the extra of penstock that brings it.
_EXTRAS = {
    "docker-container": ("docker", "docker"),
    "kubernetes-job": ("kubernetes_asyncio", "kubernetes"),
}
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
    """Slugs of the infrastructure types that there are, sorted."""
    return sorted({*_PACKAGES, *_registered})


def slug_meant(word: str) -> str:
    """The slug of the type whose blocks say `word` in their field `type`; where they say the slug, `word` itself."""
    return _OTHER_WORDS.get(word, word)


def slug_of(word: str) -> str:
    """The slug of the type that `word` means: its slug, or what the field `type` of its blocks says.

    Raises ConfigurationError with the nearest slug if there is no such type.
    """
    slug = slug_meant(word)
    if slug not in known_types():
        raise ConfigurationError(
            f"There is no infrastructure type {word!r}.{did_you_mean(word, known_types())}",
            code="unknown_infrastructure",
            hint=f"One of: {', '.join(known_types())}.",
        )
    return slug


def why_no_driver(slug: str) -> str | None:
    """Why this version cannot run jobs of a known type anywhere, None if it can."""
    if slug in _registered or _is_there(f"{_PACKAGES[slug]}.driver"):
        return None
    return f"Penstock {__version__} has no driver for {slug} yet: it knows such infrastructure, but cannot run it."


def why_not_run(slug: str) -> str | None:
    """Why jobs of a known type cannot be run from this installation, with the cure if there is one; None if they can.

    Imports nothing of the platform's SDK.
    """
    obstacle = why_no_driver(slug)
    if obstacle is not None or slug in _registered or slug not in _EXTRAS:
        return obstacle
    module, extra = _EXTRAS[slug]
    if _is_there(module):
        return None
    return f"{slug} needs the Python package {module}, which is not installed here: pip install 'penstock[{extra}]'"


def _is_there(module: str) -> bool:
    """Whether a module could be imported; of it nothing is, its parent packages at most."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def driver_for(type_slug: str) -> Driver:
    """A new driver for jobs of that type. Raises ConfigurationError with the nearest slug if there is none."""
    return load_driver(type_slug)()


def load_driver(type_slug: str) -> Callable[[], Driver]:
    """What makes a driver for jobs of that type. Imports the platform's SDK, which may take a second.

    Raises ConfigurationError with the nearest slug if there is no such type, or if it cannot be run from here.
    """
    found = _registered.get(type_slug)
    if found is not None:
        return found.create_driver
    package = _PACKAGES[slug_of(type_slug)]
    obstacle = why_not_run(type_slug)
    if obstacle is not None:
        able = [known for known in known_types() if why_not_run(known) is None]
        raise ConfigurationError(
            obstacle, code="no_driver", hint=f"Or use other infrastructure: from here runs {', '.join(able)}."
        )
    if type_slug in _EXTRAS:
        # it is there, and may be broken
        module, extra = _EXTRAS[type_slug]
        import_extra(module, extra=extra, user=type_slug)
    create: Callable[[], Driver] = importlib.import_module(f"{package}.driver").create
    return create


def render(infrastructure: Infrastructure, job: Job) -> Any:
    """The exact request that `Driver.start` will send. Raises `Unsupported` if the platform cannot do what is asked.

    What can be rendered is not always what this version can run: see `why_not_run`.
    """
    slug = infrastructure.get_block_type_slug()
    found = _registered.get(slug)
    if found is not None:
        return found.render(infrastructure, job)
    return importlib.import_module(f"{_PACKAGES[slug_of(slug)]}.render").render(infrastructure, job)


def infrastructure_from(
    document: InfrastructureDocument | None,
    overrides: Mapping[str, Any] | str | None = None,
    place: str = "infra_overrides",
) -> Infrastructure:
    """The infrastructure that a saved document describes, with `overrides` applied. No document: a local process.

    Raises ConfigurationError that names the place and the field.
    """
    return effective(document.slug if document else DEFAULT, document, [Layer(place, overrides)]).infrastructure


def resolve(claim: Claim) -> Infrastructure:
    """The infrastructure of a claimed run: its document, changed by its deployment, changed by the run itself."""
    document = claim.infrastructure
    return effective(document.slug if document else DEFAULT, document, layers_of(claim)).infrastructure
