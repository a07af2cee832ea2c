"""Finds block classes by slug: through the entry point group ``penstock.blocks``, Penstock's own ones included."""

import functools
import importlib.metadata
from typing import Any

from penstock.errors import ConfigurationError, did_you_mean

GROUP = "penstock.blocks"

#: A class derived from `penstock.blocks.base.Block`, which stands above this module.
BlockClass = type[Any]

#: Classes that were defined in this process, by slug: a block need not be installed to be used where it is written.
_defined: dict[str, BlockClass] = {}


def remember(block: BlockClass) -> None:
    """Called for each block class as it is defined. The last one of a slug wins, as in a module that is reloaded."""
    if not block.is_base():
        _defined[block.get_block_type_slug()] = block


def find_block(slug: str) -> BlockClass:
    """The block class of that slug. Raises ConfigurationError with the nearest slug if there is none."""
    found = _defined.get(slug)
    if found is None:
        entry_point = _own().get(slug) or _installed().get(slug)
        if entry_point is not None:
            found = _load(entry_point, slug)
    if found is None:
        known = known_slugs()
        raise ConfigurationError(
            f"There is no block type {slug!r} here.{did_you_mean(slug, known)}",
            code="unknown_block_type",
            hint="Import the module that defines it, or install the package that does.",
        )
    return found


def _load(entry_point: importlib.metadata.EntryPoint, slug: str) -> BlockClass:
    package = entry_point.dist.name if entry_point.dist else "a package"
    try:
        found: BlockClass = entry_point.load()
        told = found.get_block_type_slug()
    except Exception as error:
        raise ConfigurationError(
            f"The block type {slug!r} of {package} cannot be used: {entry_point.value}: {type(error).__name__}: {error}",
            code="broken_block_type",
            hint=f"Is {package} installed whole, with the extras that the type needs?",
        ) from error
    if told != slug:
        raise ConfigurationError(
            f"{package} announces {entry_point.value} as block type {slug!r}, but its slug is {told!r}.",
            code="broken_block_type",
            hint=f"Name the entry point {told!r}.",
        )
    return found


def package_of(block: BlockClass) -> str | None:
    """The installed distribution that a block class comes from, or None if it comes from none."""
    slug = block.get_block_type_slug()
    entry_point = _own().get(slug) or _installed().get(slug)
    if entry_point is not None and entry_point.dist is not None:
        return entry_point.dist.name
    top = block.__module__.split(".")[0]
    return next(iter(importlib.metadata.packages_distributions().get(top, [])), None)


def own_slugs() -> frozenset[str]:
    """The slugs of the block types that come with Penstock."""
    return frozenset(_own())


def known_slugs() -> list[str]:
    """Every slug that `find_block` knows, sorted."""
    return sorted({*_defined, *_own(), *_installed()})


def own_blocks() -> list[BlockClass]:
    """The block classes that come with Penstock, by slug."""
    return [entry_point.load() for _, entry_point in sorted(_own().items())]


@functools.cache
def _own() -> dict[str, importlib.metadata.EntryPoint]:
    # One distribution is read in a millisecond, all of an environment in tens of them.
    entry_points = importlib.metadata.distribution("penstock").entry_points
    return {entry_point.name: entry_point for entry_point in entry_points if entry_point.group == GROUP}


@functools.cache
def _installed() -> dict[str, importlib.metadata.EntryPoint]:
    return {entry_point.name: entry_point for entry_point in importlib.metadata.entry_points(group=GROUP)}
