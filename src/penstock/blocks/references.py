"""Texts in blocks that stand for something of the machine they are used on: ``${env:NAME}`` and ``${file:PATH}``.

They are kept as they were written: in the document, in exports and wherever a block is shown. Whoever acts with a block
takes `resolved(block)` at that moment and forgets it afterwards.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError

from penstock.blocks.typed import TypedBlock
from penstock.errors import ConfigurationError, did_you_mean, nearest
from penstock.model.findings import Finding

B = TypeVar("B", bound=TypedBlock)

#: A file that is larger is no secret and no setting: somebody named the wrong one.
MAX_FILE_BYTES = 1024 * 1024
_KINDS = ("env", "file")
# "${env:-x}" and its like are the shell's own, and none of ours: a name does not begin with these signs.
_REFERENCE = re.compile(r"(?P<escape>\$?)\$\{(?P<kind>[A-Za-z_]+):(?P<what>[^-+=?}][^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolved(block: B) -> B:
    """A copy of `block` in which every reference is replaced by what it stands for here and now, blocks in it included.

    A block without references is returned as it is. The copy is shown as the block was written and cannot be saved.
    Raises ConfigurationError that names the block, the field and the variable or file.
    """
    if block._written is not None:
        return block
    changed: dict[str, Any] = {}
    for name in type(block).model_fields:
        old = getattr(block, name)
        new = _resolve(old, f"{_title(block)}: {name}")
        if new is not old:
            changed[name] = new
    return _with(block, changed) if changed else block


def resolve_text(text: str, place: str) -> str:
    """`text` with its references replaced. `place` says in errors where it stands. Raises ConfigurationError."""

    def replace(match: re.Match[str]) -> str:
        kind, what = match["kind"], match["what"]
        if kind not in _KINDS:
            if nearest(kind, _KINDS) is None:
                return match[0]  # the shell's, or somebody else's
            raise ConfigurationError(
                f"{place}: ${{{kind}:…}} is no reference.{did_you_mean(kind, _KINDS)}", code="unknown_reference"
            )
        if match["escape"]:
            return match[0][1:]
        return _variable(what, place) if kind == "env" else _file(what, place)

    return _REFERENCE.sub(replace, text) if "${" in text else text


def has_references(block: TypedBlock) -> bool:
    """Whether any text in `block` stands for something of the machine that it is used on."""
    return any(
        match["kind"] in _KINDS and not match["escape"]
        for text in _texts(block.to_document_data())
        for match in _REFERENCE.finditer(text)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def check(block: TypedBlock) -> list[Finding]:
    """See `Block.check`."""
    found: list[Finding] = []
    for name in type(block).model_fields:
        try:
            _resolve(getattr(block, name), name)
        except ConfigurationError as error:
            found.append(Finding(f"what the field {name} refers to", False, str(error), error.hint or ""))
    if not found:
        try:
            type(block).model_validate({name: getattr(resolved(block), name) for name in type(block).model_fields})
        except ValidationError as error:
            found += [
                Finding(f"the field {'.'.join(map(str, fault['loc']))}", False, fault["msg"], "Set it anew.")
                for fault in error.errors(include_input=False, include_url=False)
            ]
        except ConfigurationError as error:
            found.append(Finding("the fields", False, str(error), error.hint or ""))
    return found or [Finding("the fields and what they refer to", True, "they fit the type")]


def _resolve(value: Any, place: str) -> Any:
    """`value` itself if nothing in it refers to anything."""
    if isinstance(value, str):
        new = resolve_text(value, place)
        # an enum member is a str too, and stays what it is
        return value if new == value else new
    if isinstance(value, SecretStr | Secret):
        secret = value.get_secret_value()
        new = _resolve(secret, place)
        return value if new is secret else type(value)(new)
    if isinstance(value, SecretBytes):
        return value
    if isinstance(value, TypedBlock):
        return resolved(value)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        new = _resolve(fields, place)
        return value if new is fields else value.model_copy(update=new)
    if isinstance(value, dict):
        items = {key: _resolve(item, f"{place}.{key}") for key, item in value.items()}
        return value if all(items[key] is value[key] for key in value) else items
    if isinstance(value, list | tuple):
        parts = [_resolve(item, f"{place}.{index}") for index, item in enumerate(value)]
        return value if all(new is old for new, old in zip(parts, value, strict=True)) else type(value)(parts)
    return value


def _with(block: B, changed: dict[str, Any]) -> B:
    """A copy with those fields, which passed through the class's own checks."""
    given = {name: getattr(block, name) for name in type(block).model_fields}
    untouched = {
        name
        for name, field in type(block).model_fields.items()
        if name not in changed and name not in block.model_fields_set and field.get_default() == given[name]
    }
    values = {name: value for name, value in given.items() if name not in untouched} | changed
    try:
        copy = type(block).model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigurationError(
            f"{_title(block)}: with its references resolved it is not valid: {faults}", code="invalid_reference"
        ) from None
    copy.__pydantic_fields_set__.intersection_update(block.model_fields_set)
    copy._block_document_id, copy._block_document_name = block._block_document_id, block._block_document_name
    copy._is_anonymous, copy._written = block._is_anonymous, block
    return copy


def _variable(what: str, place: str) -> str:
    name, has_default, default = what.partition(":-")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{place}: {name!r} is no name of an environment variable.", code="invalid_reference")
    value = os.environ.get(name)
    if has_default:
        return value or default
    if value is None:
        raise ConfigurationError(
            f"{place}: the environment variable {name} is not set where the block is used.{did_you_mean(name, os.environ)}",
            code="unknown_variable",
            hint=f"Set it there, or write a default: ${{env:{name}:-…}}.",
        )
    return value


def _file(what: str, place: str) -> str:
    path = Path(what).expanduser()
    if not path.is_absolute():
        raise ConfigurationError(
            f"{place}: the file {what!r} must be named by its whole path.",
            code="invalid_reference",
            hint="Every process that uses the block has a working directory of its own.",
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{place}: the file {path} is larger than 1 MiB.", code="invalid_reference")
        return content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigurationError(
            f"{place}: the file {path} cannot be read where the block is used: {error.strerror or error}.",
            code="unknown_file",
            hint="Put it on that machine, or mount it into the job.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{place}: the file {path} is no UTF-8 text.", code="invalid_reference") from None


def _title(block: TypedBlock) -> str:
    slug, name = block.get_block_type_slug(), block._block_document_name
    return f"block {slug}/{name}" if name and not block._is_anonymous else f"a {slug} block"
