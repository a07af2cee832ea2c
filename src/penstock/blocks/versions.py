"""Versions of a block class's data, and the functions that bring older data up to date. Pure."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from penstock.errors import ConfigurationError
from penstock.model.base import JSONObject

#: Data of one version as that of the next one. It gets the document's data as JSON with secrets in clear, and returns it.
Migration = Callable[[JSONObject], JSONObject]

_MARK = "_migrates_from"


def migrates(from_version: int) -> Callable[[Migration], Any]:
    """Marks a function of a block class that turns data of `from_version` into data of the version after it."""

    def mark(function: Migration) -> Any:
        setattr(function, _MARK, from_version)
        return staticmethod(function)

    return mark


def data_version(version: Any) -> int:
    """The data version that the version of a schema means: a whole number is one, a text such as "0.3.1" means 1."""
    text = str(version)
    return int(text) if text.isdecimal() and int(text) > 0 else 1


def migrations_of(block: type) -> dict[int, Migration]:
    """The migrations of a class and of those it derives from, by the version that they start from.

    Raises ConfigurationError if two start from one version, or one leads beyond the class's version, or one is missing.
    """
    found: dict[int, Migration] = {}
    for base in block.__mro__:
        own = _own_migrations(base)
        found = {**own, **found}
    current = data_version(getattr(block, "_block_schema_version", None))
    name = block.__name__
    wrong = sorted(version for version in found if not 1 <= version < current)
    if wrong:
        raise ConfigurationError(
            f"{name}: a migration from version {wrong[0]} leads nowhere: the class has _block_schema_version {current}.",
            code="invalid_migration",
            hint=f"Set _block_schema_version = {wrong[-1] + 1}." if wrong[0] >= 1 else "Versions count from 1.",
        )
    missing = sorted(set(range(min(found), current)) - set(found)) if found else []
    if missing:
        raise ConfigurationError(
            f"{name}: there is no migration from version {missing[0]}, but from {min(found)} on each needs one.",
            code="invalid_migration",
        )
    return found


def _own_migrations(block: type) -> dict[int, Migration]:
    found: dict[int, Migration] = {}
    for value in vars(block).values():
        function = inspect.unwrap(value.__func__) if isinstance(value, staticmethod) else None
        version = getattr(function, _MARK, None)
        if function is None or version is None:
            continue
        if version in found:
            raise ConfigurationError(
                f"{block.__name__} has two migrations from version {version}.", code="invalid_migration"
            )
        found[version] = function
    return found


def upgrade(
    data: JSONObject, saved: int, current: int, migrations: Mapping[int, Migration], about: tuple[str, str | None]
) -> JSONObject:
    """`data` of version `saved` as data of version `current`. `about`: the type's slug, and the package it comes from.

    Raises ConfigurationError if it was saved by a newer version, or no migration leads from there to here.
    """
    slug, package = about
    if saved > current:
        raise ConfigurationError(
            f"saved by version {saved} of type {slug}, this installation knows {current}",
            code="newer_block",
            hint=f"Upgrade the package {package}." if package else "Use the newer class that saved it.",
        )
    for version in range(saved, current):
        migration = migrations.get(version)
        if migration is None:
            raise ConfigurationError(
                f"saved by version {saved} of type {slug}, this installation knows {current}, and no migration leads from "
                f"version {version} to {version + 1}",
                code="no_migration",
                hint=f"Add one: @Block.migrates({version}).",
            )
        try:
            data = migration(dict(data))
        except Exception as error:
            # The words of the error may hold what it stumbled over, a secret too: its type is enough.
            raise ConfigurationError(
                f"the migration of type {slug} from version {version} failed with {type(error).__name__}",
                code="migration_failed",
            ) from None
        if not isinstance(data, dict):
            raise ConfigurationError(
                f"the migration of type {slug} from version {version} returned {type(data).__name__}, not a mapping",
                code="migration_failed",
            )
    return data
