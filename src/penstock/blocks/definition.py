"""What is wrong with a block class is told where it is written, not where it is first saved or loaded."""

import re
from typing import Any

from penstock.blocks import registry, versions
from penstock.errors import ConfigurationError, did_you_mean

#: Names below this prefix are the block system's own: one that it does not know is a slip of the pen.
RESERVED = "_block_"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check_definition(block: Any, known: frozenset[str]) -> None:
    """Raises ConfigurationError that names the class and the attribute. `known`: attributes that the system reads."""
    name = block.__name__
    for attribute in block.__private_attributes__:
        if attribute.startswith(RESERVED) and attribute not in known:
            raise ConfigurationError(
                f"{name} sets {attribute}, which means nothing.{did_you_mean(attribute, known)}",
                code="unknown_block_attribute",
                hint=f"Names that begin with {RESERVED} are reserved.",
            )
    _check_slug(name, block.get_block_type_slug(), block.__module__)
    _check_version(name, vars(block).get("_block_schema_version"))
    versions.migrations_of(block)


def _check_slug(name: str, slug: str, module: str) -> None:
    if not _SLUG.fullmatch(slug):
        fitting = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-")
        raise ConfigurationError(
            f"{name}: {slug!r} cannot be the slug of a block type: it stands in addresses.",
            code="invalid_slug",
            hint=f"Set _block_type_slug = {fitting!r}."
            if fitting
            else "Use lowercase letters, digits and single dashes.",
        )
    if module.split(".")[0] != "penstock" and slug in registry.own_slugs():
        raise ConfigurationError(
            f"{name}: the slug {slug!r} is that of a block type of Penstock's own, whose saved blocks would be read as {name}.",
            code="slug_taken",
            hint="Give the class another name, or set _block_type_slug.",
        )


def _check_version(name: str, version: Any) -> None:
    if version is None or (isinstance(version, str) and version.strip()):
        return
    if isinstance(version, int) and not isinstance(version, bool) and version >= 1:
        return
    raise ConfigurationError(
        f"{name}: _block_schema_version is {version!r}; it must be a whole number from 1 on, or a text.",
        code="invalid_version",
    )
