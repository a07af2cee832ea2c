"""What work queues and work pools have in common: they can be paused, and limited."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from penstock.cli import output
from penstock.cli.connection import connect
from penstock.cli.grammar import Group
from penstock.cli.output import Column
from penstock.cli.session import current

Row = dict[str, Any]
#: Changes one object: given the connection, its name, the new values and the command's other options. Returns it changed.
Change = Callable[..., Row]
Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_switches(
    noun: Group, thing: str, change: Change, columns: Sequence[Column], *, options: Sequence[Option] = ()
) -> None:
    """Give `noun` the verbs pause, resume, set-concurrency-limit and clear-concurrency-limit.

    `thing` is what people call the object. The verbs have `options` besides, which `change` gets by name.
    """

    def said(message: str, name: str, values: Row, chosen: Row) -> None:
        with connect() as connection:
            row = change(connection, name, values, **chosen)
        output.done(current(), message.format(row["name"]), row, columns, lambda shown: str(shown["name"]))

    def verb(name: str, summary: str, function: Callable[..., None]) -> None:
        for option in reversed(options):
            function = option(function)
        noun.command(name, help=summary)(click.argument("name")(function))

    def pause(name: str, **chosen: Any) -> None:
        said("{!r} is paused.", name, {"is_paused": True}, chosen)

    def resume(name: str, **chosen: Any) -> None:
        said("{!r} goes on.", name, {"is_paused": False}, chosen)

    @click.argument("limit", type=click.IntRange(min=0))
    def set_limit(name: str, limit: int, **chosen: Any) -> None:
        message = f"At most {limit} runs of {{!r}} may be live at once."
        said(message, name, {"concurrency_limit": limit}, chosen)

    def clear_limit(name: str, **chosen: Any) -> None:
        said("{!r} has no concurrency limit.", name, {"concurrency_limit": None}, chosen)

    verb("pause", f"Pause a {thing}: its runs wait, those that run go on.", pause)
    verb("resume", f"Let a paused {thing} go on.", resume)
    verb("set-concurrency-limit", f"Limit how many runs of a {thing} may be live at once.", set_limit)
    verb("clear-concurrency-limit", f"Remove a {thing}'s concurrency limit.", clear_limit)
