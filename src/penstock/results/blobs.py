"""The file of one result: a line of JSON that says how to read the rest, and the rest. Pure.

The line holds ``penstock`` (the version that wrote it), ``format``, ``python``, ``serializer`` (its fields), ``class`` (where
the serializer is imported from), ``size`` and ``crc32`` of what follows it.
"""

import json
import sys
import zlib
from contextlib import suppress
from typing import Any

from penstock.errors import ConfigurationError, ResultError, SerializationError
from penstock.model.results import FORMAT
from penstock.results import json_objects
from penstock.results.serializers import Serializer, as_serializer
from penstock.version import __version__

PYTHON = ".".join(map(str, sys.version_info[:3]))


def pack(serializer: Serializer[Any], value: Any) -> bytes:
    """The content of the file of `value`. Raises what the serializer raises."""
    payload = serializer.dumps(value)
    kind = type(serializer)
    header = {
        "penstock": __version__,
        "format": FORMAT,
        "python": PYTHON,
        "serializer": serializer.model_dump(mode="json"),
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "size": len(payload),
        "crc32": zlib.crc32(payload),
    }
    return b"".join((json.dumps(header).encode(), b"\n", payload))


def unpack(content: bytes) -> Any:
    """The value in the content of a file. Raises ResultError if it is damaged, SerializationError if it is not readable here."""
    head, newline, _ = content[:65536].partition(b"\n")
    header = _header(head) if newline else None
    if header is None:
        raise ResultError("The file does not begin as one of a result does: it is damaged, or something else")
    if header["format"] != FORMAT:
        raise ResultError(
            f"The file has format {header['format']}, written by Penstock {header.get('penstock')}; "
            f"this is {__version__}, which reads format {FORMAT}",
            hint="Upgrade Penstock here.",
        )
    payload = memoryview(content)[len(head) + 1 :]
    if len(payload) != header["size"] or zlib.crc32(payload) != header["crc32"]:
        raise ResultError(f"The file is damaged: {len(payload)} of {header['size']} bytes are there, or not these")
    try:
        return _serializer(header).loads(bytes(payload))
    except ConfigurationError as error:
        raise SerializationError(f"The result cannot be read here: {error}", hint=error.hint) from error
    except Exception as error:
        raise SerializationError(
            f"The result cannot be read here: {type(error).__name__}: {error}", hint=_difference(header)
        ) from error


def _header(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    needed = {"format", "serializer", "size", "crc32"}
    return found if isinstance(found, dict) and needed <= set(found) else None


def _serializer(header: dict[str, Any]) -> Serializer[Any]:
    """The serializer that wrote the file; one of a user's own is imported for that, if it can be."""
    with suppress(ImportError, AttributeError, ValueError):
        json_objects.find_class(header.get("class", ""))
    return as_serializer(header["serializer"])


def _difference(header: dict[str, Any]) -> str:
    told = f"It was written by Python {header.get('python')} and Penstock {header.get('penstock')}, and this is {PYTHON} and {__version__}. "
    return told + "Whatever it is made of must be installed here, in a version that fits."
