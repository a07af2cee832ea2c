"""`penstock block create`: save a block from values, a file, or answers to questions."""

import sys
from dataclasses import dataclass
from typing import Any

import click

from penstock.cli import block_values, output
from penstock.cli.block_answers import COLUMNS, document_of, reference_of, type_of, with_reference
from penstock.cli.block_fields import BlockField, Schema, fields_of
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.session import current
from penstock.errors import ConfigurationError, Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Kind:
    """A type of blocks: by its class if that is installed here, else as the server describes it."""

    slug: str
    schema: Schema
    block: Any = None
    type_id: str = ""
    schema_id: str = ""


@command("create")
@click.argument("slug", metavar="TYPE")
@click.argument("assignments", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option("-n", "--name", metavar="NAME", help="Name to save the block under.")
@click.option("-f", "--file", metavar="FILE", help="YAML or JSON file with the fields; - for stdin.")
@click.option("--overwrite", is_flag=True, help="Change the block if there is one of that name: all of its fields.")
@click.option("--no-input", is_flag=True, help="Ask nothing, on a terminal too.")
def create(
    slug: str, assignments: tuple[str, ...], name: str | None, file: str | None, overwrite: bool, no_input: bool
) -> None:
    """Save a block: from FIELD=VALUE, from a file, or on a terminal by questions.

    A dot leads into an object (env.LEVEL=debug). A field that holds a block takes a saved one: TYPE/NAME.
    """
    asking = not (assignments or file or no_input) and sys.stdin.isatty()
    if name is None and not asking:
        raise UsageProblem("The block needs a name.", hint="Give it with --name.")
    if name is not None:
        block_values.check_name(name)
    with connect() as connection:
        kind = _kind(connection, slug)
        if asking:
            row = _create_by_questions(connection, kind, name, overwrite)
        else:
            data = block_values.from_file(file) if file else {}
            data = block_values.assign(data, assignments, kind.schema, slug)
            for field in block_values.shown_secrets(assignments, kind.schema):
                current().warn(f"{field} is secret, and other users of this machine can see command lines: use -f -.")
            row = _save(connection, kind, str(name), data, overwrite)
    output.done(current(), f"Saved the block {row['reference']!r}.", row, COLUMNS, reference_of)


def _kind(connection: Connection, slug: str) -> Kind:
    """Raises NotFound with the nearest slug if neither this installation nor the server knows the type."""
    from penstock.blocks import registry, schema

    try:
        block = registry.find_block(slug)
    except ConfigurationError:
        block = None
    if block is not None:
        return Kind(slug, schema.block_schema(block), block)
    from penstock.client import block_schemas

    row = type_of(connection, slug)
    found = connection.rows(
        block_schemas.read_block_schemas(block_schema_filter={"block_type_id": {"any_": [row["id"]]}}, limit=1)
    )
    if not found:
        raise NotFound(f"The type of blocks {slug!r} has no schema.", hint="Register it: `penstock block register`.")
    return Kind(slug, found[0]["fields"], type_id=row["id"], schema_id=found[0]["id"])


def _create_by_questions(connection: Connection, kind: Kind, name: str | None, overwrite: bool) -> dict[str, Any]:
    from penstock.cli import block_prompts

    if name is None:
        name = block_prompts.ask_name(kind.slug)
    if not overwrite:
        _refuse_existing(connection, kind.slug, name)
    fields = fields_of(kind.schema)

    def saved(field: BlockField) -> list[str]:
        return _saved_references(connection, field)

    data = block_prompts.ask_fields(fields, saved)
    while True:
        try:
            return _save(connection, kind, name, data, overwrite)
        except Faults as error:
            # What is wrong with the block as a whole may lie at any of the answers.
            names = error.fields.intersection(field.name for field in fields) or set(data)
            if not names:
                raise
            click.echo(f"That does not fit. {error.message}", err=True)
            data = {key: value for key, value in data.items() if key not in names}
            data.update(block_prompts.ask_some([field for field in fields if field.name in names], saved))


def _refuse_existing(connection: Connection, slug: str, name: str) -> None:
    from penstock.client import block_documents

    try:
        connection.row(block_documents.read_block_document_by_name(name, slug, include_secrets=False))
    except NotFound:
        return
    raise _exists(slug, name)


def _exists(slug: str, name: str) -> Conflict:
    return Conflict(
        f"There is a block '{slug}/{name}' already.", hint="Change it with --overwrite, or choose another name."
    )


def _saved_references(connection: Connection, field: BlockField) -> list[str]:
    from penstock.client import block_documents

    def read(**narrowed: Any) -> list[str]:
        call = block_documents.read_block_documents(sort="BLOCK_TYPE_AND_NAME_ASC", limit=200, **narrowed)
        return [with_reference(row)["reference"] for row in connection.rows(call)]

    # A field of a base class names that class's type, of which no block is saved: any may fit then.
    return read(block_type_filter={"slug": {"any_": list(field.slugs)}}) or read()


class Faults(UsageProblem):
    """Values that do not fit. `fields` are the names of the fields at fault."""

    fields: frozenset[str] = frozenset()


def _save(connection: Connection, kind: Kind, name: str, data: dict[str, Any], overwrite: bool) -> dict[str, Any]:
    """Save the block and return it with masked secrets. Raises Faults, Conflict."""
    from penstock.client import block_documents

    data = {key: value for key, value in data.items() if key != "block_type_slug" or value != kind.slug}
    data = block_values.with_masks(data, kind.schema)
    try:
        if kind.block is not None:
            _save_as_class(connection, kind, name, data, overwrite)
        else:
            _save_as_document(connection, kind, name, data, overwrite)
    except Conflict as error:
        if overwrite or error.code not in {"block_exists", "conflict"}:
            raise
        raise _exists(kind.slug, name) from None
    call = block_documents.read_block_document_by_name(name, kind.slug, include_secrets=False)
    return with_reference(connection.row(call))


def _save_as_class(connection: Connection, kind: Kind, name: str, data: dict[str, Any], overwrite: bool) -> None:
    from pydantic import ValidationError

    from penstock.blocks.base import Block

    def load(reference: str) -> Block:
        return Block.load(str(document_of(connection, reference)["reference"]))

    data = block_values.with_saved_blocks(data, kind.schema, kind.schema, load)
    try:
        block = kind.block.model_validate(data)
    except ValidationError as error:
        raise _faults(kind.slug, error.errors(include_input=False, include_context=False)) from None
    block.save(name, overwrite=overwrite)


def _save_as_document(connection: Connection, kind: Kind, name: str, data: dict[str, Any], overwrite: bool) -> None:
    from penstock.client import block_documents
    from penstock.model.block_documents import BlockDocumentCreate, BlockDocumentUpdate

    def refer(reference: str) -> dict[str, Any]:
        return {"$ref": {"block_document_id": document_of(connection, reference)["id"]}}

    block_values.check_names(data, kind.schema, kind.slug)
    data = block_values.with_saved_blocks(data, kind.schema, kind.schema, refer)
    asked = BlockDocumentCreate.model_validate(
        {"name": name, "data": data, "block_type_id": kind.type_id, "block_schema_id": kind.schema_id}
    )
    try:
        connection.row(block_documents.create_block_document(asked, include_secrets=False))
    except (Conflict, Invalid) as error:
        # A mask is no value of a new block, and keeps the secret of one that is there.
        if not overwrite:
            raise
        try:
            known = connection.row(block_documents.read_block_document_by_name(name, kind.slug, include_secrets=False))
        except NotFound:
            raise error from None
        change = BlockDocumentUpdate(data=data, block_schema_id=asked.block_schema_id, merge_existing_data=False)
        connection.send(block_documents.update_block_document(known["id"], change))


def _faults(slug: str, errors: list[Any]) -> Faults:
    lines, fields = [], set()
    for error in errors:
        # parts with brackets are names of validators, and no places in the data
        place = [str(part) for part in error["loc"] if not set("[(") & set(str(part))]
        said = str(error["msg"]).removeprefix("Value error, ")
        lines.append(f"{'.'.join(place)}: {said}" if place else said)
        fields.update(place[:1])
    problem = Faults("; ".join(lines), hint=f"See `penstock block type inspect {slug}`.")
    problem.fields = frozenset(fields)
    return problem
