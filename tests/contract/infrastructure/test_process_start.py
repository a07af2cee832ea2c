"""What a job finds when it starts: warm the same as cold, and never what is not meant for it."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import JobRejected
from penstock.infrastructure.process.config import Process
from penstock.infrastructure.process.folder import JobFolder
from penstock.infrastructure.process.render import ProcessRequest, render
from penstock.model.attempts import Observation
from penstock.model.reasons import Reason

from .processes import ENGINE, PROBES, a_driver, a_job, keeper_of, python, shell, until_ended, until_written, warm

#: Prints what a program can know of how it was started.
LOOK = """
import json, os, signal, sys, threading, multiprocessing
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path[0], "cwd": os.getcwd(),
    "main_file": main.__file__, "main_spec": main.__spec__.name,
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(),
    "stdin": sys.stdin.read(), "terminal": os.isatty(1),
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")),
    "signals": {s.name: str(signal.getsignal(s)) for s in signal.Signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": threading.active_count(), "token": os.environ["PENSTOCK__ATTEMPT_TOKEN"], "env": dict(os.environ),
    "encoding": sys.stdout.encoding, "umask": os.umask(0o22),
}, default=str))
"""


@pytest.fixture(autouse=True)
def _probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROBES))


def run(home: Path, request: ProcessRequest) -> tuple[Observation, str, bool]:
    """How the job ended, what it wrote, and whether it was started warm."""

    async def story() -> tuple[Observation, str, bool]:
        async with a_driver(home) as driver:
            handle = await driver.start(request)
            seen = await until_ended(driver, handle)
            return seen, (await driver.output(handle)).text, keeper_of(home, handle).warm

    return asyncio.run(story())


def cold(code: str) -> ProcessRequest:
    return dataclasses.replace(warm(code), cold_reason="a comparison")


def test_a_warm_start_looks_like_a_cold_one(home: Path) -> None:
    found: dict[bool, dict[str, Any]] = {}
    for request in (warm(LOOK), cold(LOOK)):
        seen, text, was_warm = run(home, request)
        assert seen.exit is not None
        assert seen.exit.code == 0, text
        looked = json.loads(text)
        assert looked["path"] == looked["cwd"]
        assert looked["token"] == request.secret_env["PENSTOCK__ATTEMPT_TOKEN"]
        for own in ("cwd", "path", "token"):
            del looked[own]
        for own in ("PENSTOCK__ATTEMPT_ID", "PENSTOCK__ATTEMPT_TOKEN", "PYTHONUNBUFFERED"):
            looked["env"].pop(own, None)
        found[was_warm] = looked
    assert found[True] == found[False]
    assert found[True]["descriptors"][:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("code", "expected", "written"),
    [
        ("code = 3", 3, ""),
        ("import sys; sys.exit(4)", 4, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('no way')", 1, "no way\n"),
        ("import os; os._exit(5)", 5, ""),
        ("import atexit; atexit.register(print, 'good-bye')", 0, "good-bye\n"),
        (
            "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
            0,
            "late\n",
        ),
    ],
)
def test_a_warm_job_ends_as_a_program_does(lasting_home: Path, code: str, expected: int, written: str) -> None:
    ends = [run(lasting_home, make(code)) for make in (warm, cold)]
    for (seen, text, was_warm), is_warm in zip(ends, (True, False), strict=True):
        assert was_warm is is_warm
        assert seen.exit is not None
        assert (seen.exit.code, text) == (expected, written)


def test_an_uncaught_error_is_in_the_output(home: Path) -> None:
    seen, text, was_warm = run(home, warm("raise RuntimeError('on the way')"))
    assert was_warm
    assert seen.exit is not None
    assert seen.exit.code == 1
    assert "RuntimeError: on the way" in text
    assert text.startswith("Traceback")


def test_output_is_there_before_the_job_ends(home: Path) -> None:
    async def story(make: Callable[[str], ProcessRequest]) -> None:
        async with a_driver(home) as driver:
            handle = await driver.start(make("print('early'); import time; time.sleep(600)"))
            assert await until_written(driver, handle) == ["early"]

    for make in (warm, cold, python):
        asyncio.run(story(make))


def test_two_warm_jobs_have_different_chances(home: Path) -> None:
    code = "import random, uuid; print(random.random(), uuid.uuid4())"
    (_, one, _), (_, other, _) = run(home, warm(code)), run(home, warm(code))
    assert not set(one.split()) & set(other.split())


def test_a_variable_that_an_interpreter_reads_at_its_start_makes_it_a_new_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "import sys; print(sys.flags.optimize)"
    _, text, was_warm = run(home, dataclasses.replace(warm(look, env={"PYTHONOPTIMIZE": "2"})))
    assert (text, was_warm) == ("2\n", False)
    _, _, was_warm = run(home, warm(look))
    assert was_warm
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")  # the agent's own, which the launcher does not have
    request = warm(look)
    _, text, was_warm = run(home, request)
    assert (text, was_warm) == ("2\n", False)


def test_warmth_can_be_switched_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_LAUNCHER_WARM", "false")
    _, text, was_warm = run(home, warm("print('hello')"))
    assert (text, was_warm) == ("hello\n", False)


def test_a_job_inherits_the_agents_environment_but_not_its_secrets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "inherited")
    monkeypatch.setenv("GONE", "removed")
    monkeypatch.setenv("PENSTOCK_API_KEY", "the-agents-key")
    monkeypatch.setenv("PENSTOCK_API_DATABASE_CONNECTION_URL", "sqlite:///secret")
    monkeypatch.setenv("PENSTOCK__FLOW_RUN_ID", "of-another-job")
    monkeypatch.setenv("PENSTOCK_LOGGING_LEVEL", "DEBUG")
    look = "import os, json; print(json.dumps(dict(os.environ))); print(open('/proc/self/environ').read())"
    for make in (warm, cold):
        request = make(look)
        request = dataclasses.replace(request, env={**request.env, "OWN": "won"}, unset=("GONE",))
        _, text, _ = run(home, request)
        environment = json.loads(text.splitlines()[0])
        assert environment["OWN"] == "won"
        assert environment["PENSTOCK_LOGGING_LEVEL"] == "DEBUG"
        for absent in ("GONE", "PENSTOCK_API_KEY", "PENSTOCK_API_DATABASE_CONNECTION_URL", "PENSTOCK__FLOW_RUN_ID"):
            assert absent not in environment
        assert "the-agents-key" not in text


def test_the_token_is_nowhere_on_the_disk(home: Path) -> None:
    async def story() -> None:
        async with a_driver(home) as driver:
            request = shell("sleep 600")
            handle = await driver.start(request)
            [token] = request.secret_env.values()
            for path in home.rglob("*"):
                if path.is_file():
                    assert token.encode() not in path.read_bytes(), path
            folder = JobFolder(home, handle.data["name"])
            assert folder.path.stat().st_mode & 0o077 == 0

    asyncio.run(story())


def test_a_start_that_fails_says_why_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    unreadable, strange = tmp_path / "unreadable", tmp_path / "strange"
    unreadable.write_text("")
    strange.write_text("#!/no/such/interpreter\n")
    strange.chmod(0o700)
    cases = [
        (render(Process(), a_job("no-such-command")), Reason.COMMAND_NOT_FOUND, "no-such-command"),
        (render(Process(), a_job(str(strange))), Reason.COMMAND_NOT_FOUND, "first line"),
        (render(Process(), a_job(str(unreadable))), Reason.NOT_PERMITTED, "executable"),
        (render(Process(working_dir="/no/such/place"), a_job("true")), Reason.CONFIGURATION_INVALID, "/no/such/place"),
        (warm("pass", working_dir="/no/such/place"), Reason.CONFIGURATION_INVALID, "/no/such/place"),
    ]

    async def story() -> None:
        async with a_driver(home) as driver:
            for request, reason, said in cases:
                with pytest.raises(JobRejected) as refused:
                    await driver.start(request)
                assert refused.value.reason == reason
                assert said in refused.value.message
                assert await driver.find_job(request.name) is None
            assert os.listdir(home / "jobs") == []

    asyncio.run(story())


def test_a_job_starts_where_it_is_told_or_in_a_folder_of_its_own(home: Path, tmp_path: Path) -> None:
    _, text, _ = run(home, shell("pwd", working_dir=str(tmp_path)))
    assert text == f"{tmp_path}\n"
    _, text, _ = run(home, shell("pwd; ls"))
    assert text.endswith("/work\n")


def test_the_default_command_is_the_agents_interpreter_with_the_engine() -> None:
    request = render(Process(), a_job())
    assert request.argv == (sys.executable, "-m", "penstock.engine")
    assert request.cold_reason is None
    assert ENGINE not in request.argv
