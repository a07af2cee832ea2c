"""`penstock help`: help on a command, or on a topic that is no command."""

from collections.abc import Callable

import click

from penstock.cli import exit_codes, manifest, output
from penstock.cli.errors import UsageProblem
from penstock.cli.grammar import command as verb
from penstock.errors import did_you_mean

_REFERENCES = """How to name a run, a deployment or a queue

  an id             the whole UUID, or its first characters
  a name            casual-marten; flow/deployment, or the deployment's name alone where it is the only one
  @latest           the newest one
  @last-failed      the newest run that Failed or Crashed
  -                 ids from stdin, one per line:
                    penstock flow-run ls --state Failed -o name | penstock flow-run delete -
"""

_OUTPUT = """In which form data is printed

  -o table          aligned on a terminal, separated by tabs and never cut in a pipe; this is the default
  -o wide           with more columns, never cut
  -o json           one JSON document
  -o jsonl          one JSON object per line
  -o yaml           YAML
  -o name           what other commands accept as a reference, one per line
  --fields a,b.c    only these fields

A run that is followed is one document, at its end; with -o jsonl its states and log lines come as they happen.

Data goes to stdout, everything else to stderr. With -o json an error is one JSON object on stderr: code, message, hint.
Colours obey --color, NO_COLOR, FORCE_COLOR and TERM=dumb.
"""


def _exit_codes() -> str:
    lines = "".join(f"  {code:<4}  {meaning}\n" for code, meaning in exit_codes.MEANINGS.items())
    return f"Exit codes\n\n{lines}"


TOPICS: dict[str, Callable[[], str]] = {
    "exit-codes": _exit_codes,
    "references": lambda: _REFERENCES,
    "output": lambda: _OUTPUT,
}


@verb("help", data=False)
@click.argument("words", metavar="[COMMAND | TOPIC]...", nargs=-1)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show help on a command or a topic."""
    if not words:
        output.write(manifest.help_text())
        return
    if len(words) == 1 and words[0] in TOPICS:
        output.write(TOPICS[words[0]]())
        return
    root = ctx.find_root()
    found: click.Command = root.command
    place = root
    for word in words:
        below = found.get_command(place, word) if isinstance(found, click.Group) else None
        if below is None:
            known = [*(found.list_commands(place) if isinstance(found, click.Group) else []), *TOPICS]
            raise UsageProblem(f"There is no command or topic {' '.join(words)!r}.{did_you_mean(word, known)}")
        place = click.Context(below, info_name=word, parent=place)
        found = below
    click.echo(found.get_help(place))
