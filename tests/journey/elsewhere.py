"""`penstock run FILE:FLOW --on PLATFORM`: what it does wherever the run goes."""

import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from projects import Project

from penstock.client import flow_runs
from penstock.model.flow_runs import FlowRun
from penstock.testing import TestServer, wait_until


@dataclass(frozen=True)
class Elsewhere:
    """A project, and `penstock run … OPTIONS` in it."""

    project: Project
    running: TestServer
    options: Sequence[str]

    def arguments(self, *arguments: str) -> list[str]:
        """Those of the command line: what is said later wins."""
        return ["run", arguments[0], *self.options, *arguments[1:]]

    def run(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.project(*self.arguments(*arguments), **env)

    def runs(self) -> list[FlowRun]:
        """All runs of the server, the newest first."""
        with self.running.client() as client:
            return client.send(flow_runs.read_flow_runs(sort="EXPECTED_START_TIME_DESC"))


class RunElsewhere:
    """To be derived from, in a module with the fixture `elsewhere`."""

    package: ClassVar[str]
    extra: ClassVar[str]

    @pytest.fixture
    def what_goes_on(self) -> Any:
        """A function: what the platform still runs for a run."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        ("flow", "code", "said"),
        [("fails", 10, ["UserCodeRaised", "no good"]), ("crashes", 11, ["Exited", "about to die"])],
    )
    def test_the_exit_code_and_the_last_lines_say_how_the_run_ended(
        self, elsewhere: Elsewhere, flow: str, code: int, said: list[str]
    ) -> None:
        done = elsewhere.run(f"flows.py:{flow}")
        assert done.returncode == code, done
        assert [words for words in said if words not in done.stdout + done.stderr] == [], done

    def test_ctrl_c_cancels_the_run_and_waits_until_nothing_of_it_goes_on(
        self, elsewhere: Elsewhere, what_goes_on: Callable[[FlowRun], Sequence[object]], tmp_path: Path
    ) -> None:
        with (tmp_path / "said").open("w+") as said:
            started = subprocess.Popen(
                elsewhere.project.command(*elsewhere.arguments("flows.py:waits")),
                env=elsewhere.project.env,
                cwd=elsewhere.project.folder,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            try:
                wait_until(lambda: "it waits and waits" in (tmp_path / "said").read_text(), 240, "the flow runs")
                started.send_signal(signal.SIGINT)
                code = started.wait(240)
            finally:
                if started.poll() is None:
                    started.kill()
                    started.wait()
        text = (tmp_path / "said").read_text()
        assert code == 12, text
        assert "Cancelling" in text, text
        run = elsewhere.runs()[0]
        assert run.state_name == "Cancelled", text
        assert list(what_goes_on(run)) == []

    def test_a_missing_package_is_told_with_the_extra_that_brings_it(
        self, elsewhere: Elsewhere, tmp_path: Path
    ) -> None:
        hidden = tmp_path / "hidden" / self.package
        hidden.mkdir(parents=True)
        said = f"raise ModuleNotFoundError(\"No module named '{self.package}'\", name='{self.package}')\n"
        (hidden / "__init__.py").write_text(said)
        done = elsewhere.run("flows.py:hello", PYTHONPATH=str(hidden.parent))
        assert done.returncode != 0, done
        assert f"penstock[{self.extra}]" in done.stderr, done
        assert done.stderr.count("error:") == 1, done


def check_it_is_told_before_anything_is_asked_for(elsewhere: Elsewhere, where: str, **env: str) -> None:
    """A platform that is not there, as `env` says, costs one error, which names `where` it was looked for."""
    before = len(elsewhere.runs())
    done = elsewhere.run("flows.py:hello", **env)
    assert done.returncode not in (0, 10, 11), done
    assert where in done.stderr, done
    assert done.stderr.count("error:") == 1, done
    assert "hint:" in done.stderr, done
    assert len(elsewhere.runs()) == before
