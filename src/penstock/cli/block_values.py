"""Values for the fields of a block as they come from a command line, a file, stdin, or the questions on a terminal."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from penstock.cli.assignments import json_or_text, split
from penstock.cli.block_fields import ANY, Schema, block_slugs, fields_of, find_field, flatten, options_of
from penstock.cli.errors import UsageProblem
from penstock.errors import ConfigurationError


def check_name(name: str) -> str:
    """Return `name`. Raises UsageProblem if no block can be saved under it."""
    from penstock.model import base

    try:
        return base.check_name(name)
    except ValueError as error:
        raise UsageProblem(f"{error}.") from None


def from_file(name: str) -> dict[str, Any]:
    """The fields that a YAML or JSON file holds, "-" for stdin. Raises UsageProblem."""
    import yaml

    source = "stdin" if name == "-" else name
    try:
        # YAML is a superset of JSON
        found = yaml.safe_load(sys.stdin.read() if name == "-" else Path(name).read_text())
    except FileNotFoundError:
        raise UsageProblem(f"There is no file {name!r}.") from None
    except OSError as error:
        raise UsageProblem(f"{name} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise UsageProblem(f"{source} is no UTF-8 text.") from None
    except yaml.YAMLError as error:
        # The error's own text quotes the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark is not None else ""
        raise UsageProblem(f"{source} is neither YAML nor JSON{where}.") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageProblem(f"{source} holds no fields.", hint="Write one `FIELD: VALUE` per line.")
    return {str(key): value for key, value in found.items()}


def assign(data: dict[str, Any], assignments: Iterable[str], schema: Schema, slug: str) -> dict[str, Any]:
    """`data` with each FIELD=VALUE; a dot in FIELD leads into an object. Raises UsageProblem, naming the nearest field."""
    from penstock.infrastructure.overrides import apply_overrides

    fields = fields_of(schema)
    for text in assignments:
        path, value = split(text, "FIELD=VALUE")
        field = find_field(fields, path.partition(".")[0], slug)
        # Text stays text where a text is wanted: a password may well look like a number.
        given = json_or_text(value) if field.slugs or field.type == "any" else value
        try:
            data = apply_overrides(data, {path: given}, dict(schema), slug)
        except ConfigurationError as error:
            raise UsageProblem(error.message) from None
    return data


def shown_secrets(assignments: Iterable[str], schema: Schema) -> list[str]:
    """The secret fields that FIELD=VALUE sets in clear, where other users and the shell's history may see them."""
    secret = {field.name for field in fields_of(schema) if field.secret}
    pairs = (text.partition("=") for text in assignments)
    return [path for path, _, value in pairs if path.partition(".")[0] in secret and not value.startswith("${")]


def check_names(data: dict[str, Any], schema: Schema, slug: str) -> None:
    """Raises ConfigurationError for a field that the type does not have, UsageProblem for those that are missing."""
    fields = fields_of(schema)
    for name in data:
        if name != "block_type_slug":
            find_field(fields, name, slug)
    missing = [field.name for field in fields if field.required and field.name not in data]
    if missing:
        raise UsageProblem(
            f"No value for {', '.join(missing)}.",
            hint=f"Give FIELD=VALUE or -f FILE; `penstock block type inspect {slug}` shows the fields.",
        )


def with_masks(data: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """`data` with the server's mask where a secret field has that of a deployment file: neither is a value of its own."""
    secret = {field.name for field in fields_of(schema) if field.secret}
    return {name: _masked(value) if name in secret else value for name, value in data.items()}


def _masked(value: Any) -> Any:
    from penstock.model.block_documents import MASK, is_mask

    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return MASK if is_mask(value) else value


def with_saved_blocks(value: Any, schema: Schema, root: Schema, find: Callable[[str], Any]) -> Any:
    """`value` with what `find` gives for TYPE/NAME in the place of each text that stands where a block is wanted.

    NAME alone is enough where blocks of only one type fit.
    """
    schema = flatten(schema, root)
    options = options_of(schema, root)
    if isinstance(value, str):
        slugs = block_slugs(options)
        if not slugs or value.startswith("${") or any(option.get("type") == "string" for option in options):
            return value
        return find(value if "/" in value or len(slugs) > 1 or slugs[0] == ANY else f"{slugs[0]}/{value}")
    for option in options:
        if isinstance(value, list) and "items" in option:
            return [with_saved_blocks(item, option["items"], root, find) for item in value]
        if isinstance(value, dict) and ("properties" in option or "additionalProperties" in option):
            return {key: with_saved_blocks(item, _below(option, key), root, find) for key, item in value.items()}
    return value


def _below(schema: Schema, key: str) -> Schema:
    rest = schema.get("additionalProperties")
    found: Schema = (schema.get("properties") or {}).get(key) or (rest if isinstance(rest, dict) else {})
    return found
