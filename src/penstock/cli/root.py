"""The root of the commands: loads the noun that was asked for, runs it, and turns what goes wrong into an exit code."""

import importlib
import os
import sys
import traceback
from typing import Any

import click

from penstock.cli import exit_codes, manifest
from penstock.cli.errors import Problem, problem_of, show, wants_json
from penstock.cli.grammar import Group, talk_options
from penstock.cli.session import Session


class Root(Group):
    """`penstock`: knows the nouns from the manifest and imports the module of the one that is used."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.aliases = dict(manifest.ALIASES)
        self.former = manifest.FORMER

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(manifest.commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = manifest.commands().get(self.aliases.get(cmd_name, cmd_name))
        if entry is None:
            return None
        found = importlib.import_module(f"penstock.cli.{entry[0]}").command
        assert isinstance(found, click.Command)
        return found

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(manifest.help_text())


def _use_profile(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ["PENSTOCK_PROFILE"] = value


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from penstock.version import __version__

        click.echo(__version__)
        ctx.exit()


@click.command("penstock", cls=Root)
@click.option("-p", "--profile", expose_value=False, is_eager=True, callback=_use_profile)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version)
@click.pass_context
def root(ctx: click.Context) -> None:
    """Penstock runs Python flows on infrastructure."""
    if ctx.invoked_subcommand != "config":  # which shows them itself
        _warn_of_typing_errors(ctx.ensure_object(Session))


def _warn_of_typing_errors(session: Session) -> None:
    """A variable that looks like a setting and is none would otherwise be ignored in silence."""
    if any(name.startswith("PENSTOCK_") for name in os.environ):
        from penstock import settings

        for name, close in settings.unknown_variables().items():
            session.warn(f"{name} is no setting." + (f" Did you mean {close}?" if close else ""))


root.params.extend(talk_options(set()))


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit code. Only this function catches what commands raise."""
    session = Session()
    try:
        result = root.main(args=arguments, prog_name="penstock", standalone_mode=False, obj=session)
        _flush()
    except click.exceptions.Exit as left:
        return left.exit_code
    except (KeyboardInterrupt, click.Abort):
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        return _leave_broken_pipe()
    except Exception as error:
        return _tell(error, session, arguments)
    return result if isinstance(result, int) else exit_codes.OK


def _tell(error: Exception, session: Session, arguments: list[str]) -> int:
    if session.verbose >= 2 or "-vv" in arguments:
        traceback.print_exception(error)
    problem: Problem = problem_of(error)
    show(problem, sys.stderr, as_json=wants_json(arguments), colour=session.coloured(sys.stderr))
    return problem.exit_code


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _leave_broken_pipe() -> int:
    # The reader has seen enough; the interpreter must not try to flush into the closed pipe at its end.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return exit_codes.OK
