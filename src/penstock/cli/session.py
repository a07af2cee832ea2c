"""What one command line was asked to be like: how talkative, in which colours, in which form its data is."""

import os
import sys
from dataclasses import dataclass
from typing import TextIO

import click

FORMATS = ("table", "wide", "json", "jsonl", "yaml", "name")


@dataclass
class Session:
    """Set by the options that every command has. `output` None: the command's own way of telling."""

    verbose: int = 0
    quiet: bool = False
    color: str = "auto"
    output: str | None = None
    fields: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """The form in which data is printed."""
        return self.output or "table"

    def coloured(self, stream: TextIO) -> bool:
        """Whether to write colours to `stream`: --color, then NO_COLOR, FORCE_COLOR and TERM, then the terminal."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("FORCE_COLOR"):
            return True
        if os.environ.get("TERM") == "dumb" or not stream.isatty():
            return False
        from penstock import settings

        return bool(settings.get("PENSTOCK_CLI_COLORS"))

    def say(self, message: str) -> None:
        """A message to people: on stderr, unless --quiet."""
        if not self.quiet:
            print(message, file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        """A message that --quiet does not silence."""
        word = "\x1b[33mwarning\x1b[0m" if self.coloured(sys.stderr) else "warning"
        print(f"{word}: {message}", file=sys.stderr, flush=True)


def current() -> Session:
    """The session of the command that runs now."""
    return click.get_current_context().ensure_object(Session)
