"""Packages that only some blocks need: imported where they are used, with the cure named where one is missing."""

import importlib
from typing import Any

from penstock.errors import ConfigurationError


def import_extra(module: str, *, extra: str, user: str) -> Any:
    """The module of that name. Raises ConfigurationError, saying what `user` needs, if it is not installed here."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{user} needs the Python package that has {module}, which cannot be imported here: {error}",
            code="extra_missing",
            hint=f"pip install 'penstock[{extra}]'",
        ) from error


def holds_reference(text: str) -> bool:
    """Whether `text` names an environment variable or a file to be read where it is used: its form is unknown now."""
    return "${" in text
