"""Help: the manifest tells the truth about the commands, and no option goes without a sentence."""

import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from cli_said import Said

from penstock.cli import manifest
from penstock.cli.help import TOPICS
from penstock.cli.root import root
from penstock.version import __version__

Cli = Callable[..., Said]


def _walk(command: click.Command, path: tuple[str, ...], parent: click.Context | None) -> Iterator[tuple[str, ...]]:
    context = click.Context(command, info_name=path[-1] if path else "penstock", parent=parent)
    if path:
        yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _walk(below, (*path, name), context)


COMMANDS = sorted(_walk(root, (), None))


def _command(path: tuple[str, ...]) -> click.Command:
    found: click.Command = root
    context = click.Context(root)
    for name in path:
        assert isinstance(found, click.Group)
        below = found.get_command(context, name)
        assert below is not None
        found = below
    return found


def test_the_help_is_printed_from_the_manifest(penstock: Cli) -> None:
    assert penstock("--help") == penstock() == penstock("help") == Said(0, manifest.help_text(), "")


def test_the_version_is_that_of_the_package(penstock: Cli) -> None:
    assert penstock("--version").out == penstock("-v").out == f"{__version__}\n"
    assert penstock("-q", "--version").out == f"{__version__}\n"


@pytest.mark.parametrize("name", list(manifest.commands()))
def test_a_summary_of_the_manifest_is_the_one_of_its_command(name: str) -> None:
    command = _command((name,))
    assert command.name == name
    assert (command.help or "").split("\n")[0] == manifest.commands()[name][1]


def test_aliases_lead_to_commands() -> None:
    context = click.Context(root)
    for alias, name in manifest.ALIASES.items():
        assert root.get_command(context, alias) is root.get_command(context, name)


def test_the_root_options_of_the_manifest_are_the_real_ones() -> None:
    told = {flag for flags, _ in manifest.ROOT_OPTIONS for flag in re.findall(r"--?[a-z-]+", flags)}
    real = {flag for parameter in root.params for flag in parameter.opts} | {"-h", "--help"}
    assert told == real


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_one_sentence_per_option(penstock: Cli, path: tuple[str, ...]) -> None:
    said = penstock(*path, "--help")
    assert said.code == 0
    assert said.err == ""
    command = _command(path)
    assert (command.help or "").split("\n")[0].endswith("."), "the first line is a sentence"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            text = re.sub(r"\s*\[[^]]*\]$", "", parameter.help or "")
            assert text.endswith("."), f"{parameter.opts}: {parameter.help!r}"
            assert any(flag in said.out for flag in parameter.opts)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_option_of_a_command_is_given_to_two_meanings(path: tuple[str, ...]) -> None:
    flags = [flag for parameter in _command(path).params for flag in parameter.opts + parameter.secondary_opts]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize("topic", list(TOPICS))
def test_topics_are_told(penstock: Cli, topic: str) -> None:
    said = penstock("help", topic)
    assert said.code == 0
    assert len(said.out.splitlines()) > 5


def test_help_on_a_command_is_the_commands_help(penstock: Cli) -> None:
    assert penstock("help", "deployment", "run").out == penstock("deployment", "run", "--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploymnt",), "penstock deployment"),
        (("deployment", "rnu"), "penstock deployment run"),
        (("flow-runs", "inspct", "x"), "penstock flow-runs inspect"),
        (("deployment", "run", "--prams", "{}"), "--params"),
        (("flow-run", "ls", "--limt", "3"), "--limit"),
        (("help", "exit-code"), "exit-codes"),
        (("agent", "start", "-q", "x", "--run-onec"), "--run-once"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest_and_exit_code_2(
    penstock: Cli, words: tuple[str, ...], said: str
) -> None:
    found = penstock(*words)
    assert found.code == 2
    assert found.out == ""
    assert said in found.err
    assert len(found.err.splitlines()) <= 2


@pytest.mark.parametrize(
    "words",
    [
        ("flow-run", "ls", "--limit", "many"),
        ("flow-run", "ls", "--limit", "0"),
        ("flow-run", "ls", "-o", "xml"),
        ("flow-run", "inspect"),
        ("flow-run", "inspect", "a", "b"),
        ("flow-run", "logs", "x", "--head", "--tail"),
        ("flow-run", "logs", "x", "--level", "LOUD"),
        ("flow-run", "watch", "x", "--timeout", "soon"),
        ("agent", "start"),
        ("deployment", "run"),
        ("deployment", "run", "a/b", "--start-in", "1h", "--start-at", "now"),
        ("deployment", "run", "a/b", "--param", "x"),
        ("deployment", "run", "a/b", "--params", "[]"),
        ("deployment", "build", "x.py:f"),
        ("deployment", "build", "x.py:f", "-n", "n", "-i", "process", "-ib", "process/x"),
        ("deployment", "build", "x.py:f", "-n", "n", "--param", "a=1", "--params", "{}"),
        ("deployment", "build", "x.py:f", "-n", "n", "-o", "x.json"),
        ("deployment", "set-schedule", "a/b"),
        ("work-queue", "create", "q", "-t", "tag"),
        ("server", "database", "reset"),
        ("run", "hello.py"),
        ("run", "hello.py:f", "--on", "proces"),
        ("api", "FETCH", "/x"),
        ("api", "POST", "/x", "-d", "{"),
        ("config", "set", "PENSTOCK_LOGGING_LEVEL"),
        ("config", "set", "PENSTOCK_HOME=/x"),
        ("config", "set", "PENSTOCK_SERVER_API_PORT=many"),
        ("config", "unset", "PENSTOCK_LOGGING_LEVEL"),
        ("profile", "create", "-x-"),
        ("profile", "create", "a/b"),
        ("block", "create"),
        ("block", "create", "process"),
        ("block", "create", "process", "-n", "x", "-f", "nothing.yaml"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_one_line_with_exit_code_2_and_nothing_is_done(
    penstock: Cli, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = penstock(*words)
    assert found.code == 2, found
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert len(found.err.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def _cpu_seconds(command: list[str], repeats: int = 9) -> float:
    """The least user and system time of the command, as the kernel counts it."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    best = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def test_help_and_version_need_no_click(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["--version"]):
        program = (
            f"import sys; from penstock.cli.main import main; main({words!r}); sys.stderr.write(' '.join(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        loaded = set(done.stderr.split())
        assert not loaded & {"click", "pydantic", "asyncio", "http.client", "typing", "json"}
    script = shutil.which("penstock", path=sysconfig.get_path("scripts"))
    command = [script] if script else [sys.executable, "-m", "penstock.cli"]
    bare = _cpu_seconds([sys.executable, "-c", "pass"])
    with capsys.disabled():
        for words in (["--help"], ["--version"]):
            cpu = _cpu_seconds([*command, *words])
            print(f"\n  penstock {words[0]}: {cpu * 1000:.0f} ms CPU, a bare interpreter {bare * 1000:.0f} ms", end="")
        print()


@pytest.mark.parametrize("noun", ["flow_runs", "deployments"])
def test_asking_for_a_list_imports_neither_pydantic_nor_asyncio(noun: str) -> None:
    program = (
        "import sys\n"
        "import penstock.cli.root, penstock.cli.flow_run, penstock.cli.connection, penstock.client.sync\n"
        f"import penstock.client.{noun} as noun\n"
        f"noun.read_{noun}(limit=1)\n"
        "print(' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & {"pydantic", "asyncio", "sqlalchemy", "fastapi"}


@pytest.mark.parametrize("former", manifest.FORMER)
def test_a_command_that_prefect_2_has_is_answered_with_what_does_the_same_here(former: str, penstock: Cli) -> None:
    said = penstock(former, "something")
    assert (said.code, said.out) == (2, "")
    assert manifest.FORMER[former] in said.err
    named = re.findall(r"`penstock ([a-z]+) ([a-z]+)", said.err.partition("hint: ")[2])
    assert named
    for noun, verb in named:
        assert penstock(noun, verb, "--help").code == 0
