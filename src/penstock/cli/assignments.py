"""KEY=VALUE and JSON on the command line."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from penstock.cli.errors import UsageProblem


def split(text: str, flag: str) -> tuple[str, str]:
    """Key and value of one KEY=VALUE. Raises UsageProblem that names the option `flag`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageProblem(f"{flag} {text!r} is no assignment.", hint=f"Write {flag} KEY=VALUE.")
    return key.strip(), value


def texts(assignments: Iterable[str], flag: str) -> dict[str, str]:
    """KEY=VALUE options, values as they were typed. Raises UsageProblem if one key has two values."""
    found: dict[str, str] = {}
    for text in assignments:
        key, value = split(text, flag)
        if found.setdefault(key, value) != value:
            raise UsageProblem(f"{flag} says {key!r} twice: {found[key]!r} and {value!r}.", hint="Say it once.")
    return found


def values(assignments: Iterable[str], flag: str) -> dict[str, Any]:
    """KEY=VALUE options, values read as JSON where they are some, else taken as text."""
    return {key: json_or_text(value) for key, value in texts(assignments, flag).items()}


def json_or_text(text: str) -> Any:
    """`text` as JSON if it is valid JSON, else itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def json_object(text: str | None, flag: str) -> dict[str, Any]:
    """The JSON object that an option holds; "-" reads it from stdin. None gives an empty one. Raises UsageProblem."""
    if text is None:
        return {}
    source = "stdin" if text == "-" else flag
    try:
        found = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise UsageProblem(f"{source} is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageProblem(f"{source} holds no JSON object.", hint='Write e.g. \'{"name": "value"}\'.')
    return found
