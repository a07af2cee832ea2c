"""Questions on a terminal: one per field of a block, secrets without echo."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from penstock.cli.assignments import json_or_text
from penstock.cli.block_fields import BlockField
from penstock.cli.block_values import check_name
from penstock.cli.errors import UsageProblem
from penstock.errors import did_you_mean

#: So many optional fields are asked one after the other; of more, those that are to be set are asked for first.
_FEW = 8

#: Gives the references TYPE/NAME of the saved blocks that fit the field.
Saved = Callable[[BlockField], list[str]]


def ask_name(slug: str) -> str:
    """The name that a block of that type is to be saved under."""

    def read(text: str) -> str:
        try:
            return check_name(text)
        except UsageProblem as error:
            raise click.UsageError(error.message) from None

    return str(click.prompt(f"Name of the {slug} block", value_proc=read, err=True))


def ask_fields(fields: Sequence[BlockField], saved: Saved) -> dict[str, Any]:
    """A value for each field that has no default, and for those others that the user wants to set."""
    open_fields = [field for field in fields if len(field.choices) != 1]
    required = [field for field in open_fields if field.required]
    optional = [field for field in open_fields if not field.required]
    data = ask_some(required, saved)
    return {**data, **ask_some(optional if len(optional) <= _FEW else _chosen(optional), saved)}


def ask_some(fields: Iterable[BlockField], saved: Saved) -> dict[str, Any]:
    """A value for each field; none for those that were left at their default."""
    found = {}
    for field in fields:
        if field.meaning:
            click.secho(f"# {field.meaning}", err=True, dim=True)
        value = _ask(field, saved)
        if value is not None and value != field.default:
            found[field.name] = value
    return found


def _chosen(fields: list[BlockField]) -> list[BlockField]:
    by_name = {field.name: field for field in fields}
    click.echo(f"Fields that have a default: {', '.join(by_name)}.", err=True)

    def read(text: str) -> list[BlockField]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if names == ["all"]:
            return fields
        for name in names:
            if name not in by_name:
                raise click.UsageError(f"There is no field {name!r}.{did_you_mean(name, by_name)}")
        return [by_name[name] for name in names]

    found: list[BlockField] = click.prompt(
        "Set which of them? (A,B or all; Enter: none)", default="", show_default=False, value_proc=read, err=True
    )
    return found


def _ask(field: BlockField, saved: Saved) -> Any:
    label = f"{field.name} ({field.type}{', ' + field.constraints if field.constraints else ''})"
    if field.slugs:
        return _ask_block(field, label, saved(field))
    if field.secret:
        return _ask_secret(field, label)
    # Enter leaves an optional field as it is; a required one is asked again.
    rest: dict[str, Any] = (
        {} if field.required else {"default": field.default_text, "show_default": bool(field.default_text)}
    )
    if field.choices:
        return _ask_choice(field, label, rest)
    value = click.prompt(label, value_proc=lambda text: _read(text, field), err=True, **rest)
    return None if value == "" else value


def _ask_secret(field: BlockField, label: str) -> Any:
    rest: dict[str, Any] = {} if field.required else {"default": "", "show_default": False}
    value = str(click.prompt(label, hide_input=True, err=True, **rest))
    if not value:
        return None
    return json_or_text(value) if field.schema.get("type") in {"object", "array"} else value


def _ask_choice(field: BlockField, label: str, rest: dict[str, Any]) -> Any:
    by_text = {choice if isinstance(choice, str) else json.dumps(choice): choice for choice in field.choices}

    def read(text: str) -> Any:
        if text == "" and not field.required:
            return None
        if text not in by_text:
            raise click.UsageError(f"{text!r} is none of {', '.join(by_text)}.{did_you_mean(text, by_text)}")
        return by_text[text]

    return click.prompt(label, value_proc=read, err=True, **rest)


def _ask_block(field: BlockField, label: str, references: list[str]) -> Any:
    if not references and not field.required:
        click.echo(f"{label}: none is saved, left out.", err=True)
        return None
    for number, reference in enumerate(references, 1):
        click.echo(f"  {number}  {reference}", err=True)

    def read(text: str) -> str | None:
        if text == "" and not field.required:
            return None
        if text.isdigit() and 1 <= int(text) <= len(references):
            return references[int(text) - 1]
        if text in references:
            return text
        raise click.UsageError(f"{text!r} is none of the saved blocks.{did_you_mean(text, references)}")

    rest: dict[str, Any] = {} if field.required else {"default": "", "show_default": False}
    if not references:
        raise click.UsageError(f"{field.name} takes a saved {' or '.join(field.slugs)} block, and there is none.")
    return click.prompt(f"{label}: number or TYPE/NAME", value_proc=read, err=True, **rest)


def _read(text: str, field: BlockField) -> Any:
    kind = field.schema.get("type")
    # What refers to the environment or a file is text, whatever it stands for.
    if text == "" or text.startswith("${") or kind not in {"boolean", "integer", "number", "array", "object"}:
        return json_or_text(text) if field.type == "any" and text else text
    words = {"yes": True, "y": True, "no": False, "n": False}
    found = words.get(text.lower(), json_or_text(text)) if kind == "boolean" else json_or_text(text)
    fits = {
        "boolean": isinstance(found, bool),
        "integer": isinstance(found, int) and not isinstance(found, bool),
        "number": isinstance(found, int | float) and not isinstance(found, bool),
        "array": isinstance(found, list),
        "object": isinstance(found, dict),
    }
    if not fits[str(kind)]:
        written = {"boolean": "true or false", "array": "a JSON list", "object": "a JSON object"}.get(str(kind), kind)
        raise click.UsageError(f"{text!r} is not {written}.")
    return found
