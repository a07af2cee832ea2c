"""`penstock block check`: which saved blocks can be loaded here, are up to date, and can do what they are for."""

from typing import TYPE_CHECKING, Any

import click

from penstock.cli import output
from penstock.cli.block_answers import document_of
from penstock.cli.connection import Connection, connect
from penstock.cli.findings import COLUMNS, refuse
from penstock.cli.grammar import command
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.blocks.documents import DocumentFinding
    from penstock.model.findings import Finding

_COLUMNS = [Column("REFERENCE", "reference"), *COLUMNS]


@command("check")
@click.argument("references", metavar="[TYPE/NAME]...", nargs=-1)
@click.option("--fix", is_flag=True, help="Save blocks of older versions anew, with the present one.")
def check(references: tuple[str, ...], fix: bool) -> None:
    """Check saved blocks: all of them, or those that are named.

    Each is loaded, and what it refers to is looked at; then it tries what its type can try, such as credentials.
    """
    from penstock.blocks.documents import check_all

    with connect() as connection:
        for reference in references:
            document_of(connection, reference)
        found = [row for one in check_all(connection.client, references) for row in _rows(connection, one, fix)]
    output.emit(current(), found, _COLUMNS, lambda row: str(row["reference"]))
    refuse(found, lambda row: f"{row['reference']}: {row['tried']}")


def _rows(connection: Connection, one: "DocumentFinding", fix: bool) -> list[dict[str, Any]]:
    found = [_row(one.reference, _upgraded(connection, one) if fix and one.upgradeable else one.finding)]
    if one.block is not None:
        found += [_row(one.reference, finding) for finding in _own_checks(one.block)]
    return found


def _own_checks(block: Any) -> "list[Finding]":
    from penstock.model.findings import Finding

    try:
        found: list[Finding] = block.check()
    except Exception as error:
        # The words of an error that nobody expected may hold a secret.
        name = type(block).__name__
        return [Finding(f"the check of {name}", False, f"it raised {type(error).__name__}", f"Correct {name}.check.")]
    return found


def _row(reference: str, finding: "Finding") -> dict[str, Any]:
    return {"reference": reference, **vars(finding)}


def _upgraded(connection: Connection, one: "DocumentFinding") -> "Finding":
    from penstock.blocks.documents import upgrade
    from penstock.model.findings import Finding

    try:
        upgrade(connection.client, one.document_id)
    except PenstockError as error:
        return Finding(one.finding.tried, False, error.message, error.hint or "")
    return Finding(one.finding.tried, True, f"{one.finding.said}; saved anew with the present one")
