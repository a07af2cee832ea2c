"""`penstock block register`: make the server know the block types of a module or a file."""

from pathlib import Path
from types import ModuleType
from typing import Any

import click

from penstock.cli import output
from penstock.cli.collections import modules_meant
from penstock.cli.connection import connect
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import NotFound

_COLUMNS = [Column("SLUG", "slug"), Column("NAME", "name"), Column("ID", "id", wide=True)]


@command("register")
@click.option("-m", "--module", metavar="MODULE", help="Module whose blocks are registered, e.g. package.blocks.")
@click.option("-f", "--file", metavar="FILE", help="Python file whose blocks are registered.")
def register(module: str | None, file: str | None) -> None:
    """Make the server know the types of blocks that a module or a file defines."""
    if (module is None) == (file is None):
        raise UsageProblem("Name a module with -m or a file with -f.")
    from penstock.client.admin import read_health
    from penstock.engine.code import load_module

    names = modules_meant(module) if module is not None else (str(Path(str(file)).resolve()),)
    found = {block for name in names for block in blocks_in(load_module(name))}
    blocks = sorted(found, key=lambda block: str(block.get_block_type_slug()))
    if not blocks:
        raise NotFound(f"{module or file} defines no blocks.", hint="A block is a class derived from Block.")
    with connect() as connection:
        connection.send(read_health())
    rows = []
    for block in blocks:
        type_id, _ = block.register_type_and_schema()
        rows.append({"slug": block.get_block_type_slug(), "name": block.get_block_type_name(), "id": str(type_id)})
    output.emit(current(), rows, _COLUMNS, lambda row: str(row["slug"]))


def blocks_in(module: ModuleType) -> list[Any]:
    """The block classes that can be made, by slug: those that `module` or what lies below it defines, or it lists as public."""
    from penstock.blocks.base import Block

    public = [getattr(module, name) for name in getattr(module, "__all__", ())]
    classes = [value for value in [*vars(module).values(), *public] if isinstance(value, type)]
    found = {
        value
        for value in classes
        if issubclass(value, Block)
        and (value in public or f"{value.__module__}.".startswith(f"{module.__name__}."))
        and not value.is_base()
    }
    return sorted(found, key=lambda block: block.get_block_type_slug())
