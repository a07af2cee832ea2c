"""The logging file: a dictionary for `logging.config`, as YAML, with ${VARIABLES} of the environment and of settings.

Each of its values can be set by the environment as well: PENSTOCK_LOGGING_ and the keys that lead to it, in capitals
and joined by underscores. Whatever cannot be used is told with the file's line.
"""

import logging.config
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock import settings
from penstock.errors import ConfigurationError

Keys = tuple[str, ...]
#: When the file was read, so that it is read again only if it has changed: path, time, size.
Stamp = tuple[str, int, int]

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_TOLD_KEY = re.compile(r"Unable to (?:configure|add) (\w+?)(?: '([^']*)')?$")
_SECTIONS = {"filter": "filters", "formatter": "formatters", "handler": "handlers", "logger": "loggers"}


def path() -> Path:
    """Where the file would be: PENSTOCK_LOGGING_SETTINGS_PATH, or logging.yml in PENSTOCK_HOME."""
    named = settings.get("PENSTOCK_LOGGING_SETTINGS_PATH")
    return Path(named).expanduser() if named else settings.home() / "logging.yml"


def stamp() -> Stamp | None:
    """What tells one version of the file from another; None if there is none.

    Raises ConfigurationError if the setting names a file that is not there.
    """
    file = path()
    try:
        found = file.stat()
    except OSError as error:
        if settings.get("PENSTOCK_LOGGING_SETTINGS_PATH"):
            raise ConfigurationError(f"PENSTOCK_LOGGING_SETTINGS_PATH: {file}: {error.strerror}") from None
        return None
    return str(file), found.st_mtime_ns, found.st_size


def apply(file: Path) -> dict[str, Any]:
    """Configure the program's logging as `file` says. Returns what it says.

    Loggers that it does not name stay as they are, unless it says ``disable_existing_loggers: true``. Raises
    ConfigurationError with the line and key of what cannot be used.
    """
    document = _Document(file)
    config = document.config()
    try:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **config})
    except (ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        raise document.problem(_keys_in(str(error)), _causes(error)) from error
    return config


class _Document:
    """The file's tree, which knows the line of each key."""

    def __init__(self, file: Path) -> None:
        import yaml

        self._file = file
        try:
            self._root = yaml.compose(file.read_text("utf-8"), yaml.SafeLoader)
            self._plain = yaml.safe_load(file.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark is not None else ""
            told = getattr(error, "problem", None) or error
            raise ConfigurationError(f"{file}{line}: this is not valid YAML: {told}") from None
        if not isinstance(self._plain, dict):
            raise ConfigurationError(f"{file}: expected keys such as handlers and loggers")

    def config(self) -> dict[str, Any]:
        found = self._filled(self._plain, ())
        assert isinstance(found, dict)
        return found

    def _filled(self, value: Any, keys: Keys) -> Any:
        """`value` with variables replaced and values of the environment put in."""
        if isinstance(value, dict):
            return {key: self._filled(item, (*keys, str(key))) for key, item in value.items()}
        override = os.environ.get(variable(keys))
        if override is not None and not (len(keys) == 1 and keys[0] == "version"):
            return _scalar(override)
        if isinstance(value, list):
            return [self._filled(item, (*keys, str(number))) for number, item in enumerate(value)]
        return self._substituted(value, keys) if isinstance(value, str) and "$" in value else value

    def _substituted(self, text: str, keys: Keys) -> Any:
        def value_of(match: re.Match[str]) -> str:
            name = match.group(1) or match.group(2)
            value = os.environ.get(name)
            if value is None and name in settings.SETTINGS:
                value = str(settings.get(name))
            if value is None:
                raise self.problem(keys, f"${{{name}}} is neither set in the environment nor a setting")
            return value

        return _VARIABLE.sub(value_of, text)

    def problem(self, keys: Keys, told: str) -> ConfigurationError:
        line = self._line_of(keys)
        where = f"{self._file}, line {line}" if line else str(self._file)
        return ConfigurationError(f"{where}: {'.'.join(keys) or 'the file'}: {told}", code="logging_file")

    def _line_of(self, keys: Keys) -> int | None:
        """The line of the key, or of the innermost one around it that there is."""
        node, line = self._root, None
        for key in keys:
            pairs = getattr(node, "value", None)
            if not isinstance(pairs, list):
                break
            for pair in pairs:
                if isinstance(pair, tuple) and pair[0].value == key:
                    node, line = pair[1], pair[0].start_mark.line + 1
                    break
            else:
                break
        return line


def variable(keys: Keys) -> str:
    """The environment variable that sets the value at `keys`."""
    return "PENSTOCK_LOGGING_" + re.sub(r"[^A-Z0-9]", "_", "_".join(keys).upper())


def _scalar(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _keys_in(message: str) -> Keys:
    """The place that an error of `logging.config` speaks of."""
    match = _TOLD_KEY.match(message)
    if match is None:
        return ()
    kind, name = match.groups()
    if kind == "root":
        return ("root",)
    section = _SECTIONS.get(kind, kind)
    return (section, name) if name else (section,)


def _causes(error: BaseException) -> str:
    """The words of the error and of what caused it."""
    words = list(dict.fromkeys(str(one) or type(one).__name__ for one in _chain(error)))
    return ": ".join(words)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
