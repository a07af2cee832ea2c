"""How commands are put together: the options that all have, nearest names, nouns loaded when they are used."""

from collections.abc import Callable
from typing import Any

import click

from penstock.cli.errors import UsageProblem
from penstock.cli.session import FORMATS, current
from penstock.errors import nearest

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "auto_envvar_prefix": None}


def _set_output(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        current().output = value


def _set_fields(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        current().fields = tuple(field.strip() for field in value.split(",") if field.strip())


def _set_verbose(_ctx: click.Context, _param: click.Parameter, value: int) -> None:
    current().verbose += value


def _set_quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    current().quiet = current().quiet or value


def _set_color(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        current().color = value


def talk_options(taken: set[str]) -> list[click.Option]:
    """--quiet, --verbose and --color, under those of their names that a command does not use for something else."""
    wanted: list[tuple[list[str], dict[str, Any]]] = [
        (["-q", "--quiet"], {"is_flag": True, "callback": _set_quiet, "help": "Print data and errors only."}),
        (
            ["-v", "--verbose"],
            {"count": True, "callback": _set_verbose, "help": "Print each request; -vv: tracebacks too."},
        ),
        (
            ["--color"],
            {
                "type": click.Choice(["auto", "always", "never"]),
                "callback": _set_color,
                "help": "When to use colours.",
            },
        ),
    ]
    options = []
    for flags, attributes in wanted:
        free = [flag for flag in flags if flag not in taken]
        if any(flag.startswith("--") for flag in free):
            options.append(click.Option(free, expose_value=False, is_eager=True, **attributes))
    return options


def data_options(taken: set[str]) -> list[click.Option]:
    """--output and --fields, for commands that print data. Where -o is taken, --format stands for it."""
    flags = [flag for flag in ("-o", "--output") if flag not in taken] if "--output" not in taken else ["--format"]
    return [
        click.Option(
            flags,
            type=click.Choice(FORMATS),
            expose_value=False,
            is_eager=True,
            callback=_set_output,
            help="Form of the data.",
        ),
        click.Option(
            ["--fields"],
            metavar="A,B,C",
            expose_value=False,
            is_eager=True,
            callback=_set_fields,
            help="Print these fields only; a dot leads into an object.",
        ),
    ]


class Command(click.Command):
    """A command with the options that every command has. `data`: it prints data, in all forms."""

    def __init__(self, *args: Any, data: bool = True, **attributes: Any) -> None:
        attributes.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **attributes)
        taken = {flag for parameter in self.params for flag in parameter.opts + parameter.secondary_opts}
        self.own = list(self.params)
        if data:
            self.params.extend(data_options(taken))
        self.params.extend(talk_options(taken))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                (own if parameter in self.own else common).append(record)
        for title, records in (("Options", own), ("Options of every command", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Group(click.Group):
    """A noun with its verbs. An unknown verb is answered with the nearest one."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("context_settings", CONTEXT)
        attributes.setdefault("no_args_is_help", False)
        attributes.setdefault("invoke_without_command", True)
        super().__init__(*args, **attributes)
        #: verb -> the verb that it is another name of
        self.aliases: dict[str, str] = {}
        #: verb that there is not -> what does the same
        self.former: dict[str, str] = {}

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx._protected_args and not ctx.args:
            click.echo(ctx.get_help())
            return None
        return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, self.aliases.get(cmd_name, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = nearest(name, [*self.list_commands(ctx), *self.aliases])
            guess = f"Did you mean `{ctx.command_path} {close}`?" if close else f"See `{ctx.command_path} --help`."
            raise UsageProblem(
                f"There is no command `{ctx.command_path} {name}`.", hint=self.former.get(name.lower(), guess)
            )
        return super().resolve_command(ctx, args)


def group(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Decorator: a noun."""
    return click.group(name, cls=Group, **attributes)


def command(name: str, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Decorator: a verb without a noun."""
    return click.command(name, cls=Command, **attributes)
