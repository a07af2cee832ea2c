"""Queues, pools and limits on the command line, with the words of Prefect 2."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from cli_process import FLOWS, SameProcess, Terminal, known_agent

from penstock.cli import agent as agent_commands
from penstock.cli import work_pool, work_queue
from penstock.model.work_pools import WorkPoolCreate
from penstock.testing import TestServer, server, wait_until

#: Verbs and options of Prefect 2.8 and 2.20 for these nouns, by noun.
OF_PREFECT_2 = {
    "work-queue": {
        "create": "-l --limit -t --tag -p --pool -q --priority",
        "set-concurrency-limit": "-p --pool",
        "clear-concurrency-limit": "-p --pool",
        "pause": "-p --pool",
        "resume": "-p --pool",
        "inspect": "-p --pool",
        "ls": "-v --verbose -m --match -p --pool",
        "preview": "-h --hours -p --pool",
        "read-runs": "-p --pool",
        "delete": "-p --pool",
    },
    "work-pool": {
        "create": "--paused --base-job-template -t --type --set-as-default --provision-infrastructure "
        "--provision-infra --overwrite",
        "ls": "-v --verbose",
        "inspect": "",
        "pause": "",
        "resume": "",
        "update": "--base-job-template --concurrency-limit --description",
        "delete": "",
        "set-concurrency-limit": "",
        "clear-concurrency-limit": "",
        "preview": "-h --hours",
        "get-default-base-job-template": "-t --type -f --file",
    },
    "agent": {
        "start": "-q --work-queue -m --match -p --pool --hide-welcome --api --run-once --no-run-once "
        "--prefetch-seconds -t --tag -l --limit",
    },
}
NOUNS: dict[str, click.Group] = {
    "work-queue": work_queue.command,
    "work-pool": work_pool.command,
    "agent": agent_commands.command,
}


@pytest.mark.parametrize(("noun", "verb"), [(noun, verb) for noun, verbs in OF_PREFECT_2.items() for verb in verbs])
def test_what_prefect_2_had_for_queues_pools_and_agents_is_there(noun: str, verb: str) -> None:
    known = NOUNS[noun].commands[verb]
    flags = {flag for option in known.params for flag in (*option.opts, *option.secondary_opts)}
    assert set(OF_PREFECT_2[noun][verb].split()) <= flags


@pytest.fixture(scope="module")
def here(running: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    folder: Path = tmp_path_factory.mktemp("queues")
    (folder / "flows.py").write_text(FLOWS)
    return SameProcess(running.env, folder)


def test_who_holds_the_slots_of_queue_pool_deployment_and_tag_is_shown(
    running: TestServer, here: Terminal, name: str
) -> None:
    here.ok("work-pool", "create", name, "--limit", "5")
    here.ok("concurrency-limit", "create", name, "2", "--flow-runs")
    target = ["-n", name, "-q", "jobs", "-p", name, "-t", name]
    here.ok("deployment", "build", "flows.py:waits", *target, "-a")
    here.ok("deployment", "set-concurrency-limit", f"waits/{name}", "1")
    go = here.folder / f"go-{name}"
    first = here.ok("deployment", "run", f"waits/{name}", "-p", f"path={go}", "--name", "first", "-o", "json").json
    with known_agent(running, "-p", name, "--name", "bob"):
        wait_until(
            lambda: here.ok("flow-run", "inspect", first["id"], "-o", "json").json["state_type"] == "RUNNING", 120
        )
        second = here.ok("deployment", "run", f"waits/{name}", "-p", f"path={go}", "-o", "json").json
        for words, limit in (
            (["work-queue", "inspect", "jobs", "-p", name], None),
            (["work-pool", "inspect", name], 5),
            (["deployment", "inspect", f"waits/{name}"], 1),
            (["concurrency-limit", "inspect", name, "--flow-runs"], 2),
        ):
            shown = here.ok(*words, "-o", "json").json
            assert (shown["concurrency_limit"], shown["taken"]) == (limit, 1)
            assert [run["flow_run_name"] for run in shown["live_runs"]] == ["first"]
            plain = here.ok(*words).out
            assert "first (Running, taken " in plain
            assert " by bob)" in plain
        why = here.ok("flow-run", "explain", second["id"]).out
        assert why.startswith(
            f"The concurrency limit of deployment 'waits/{name}' is used up (1/1) by first (Running, "
        )
        assert (
            here.ok("deployment", "clear-concurrency-limit", f"waits/{name}", "-o", "json").json["concurrency_limit"]
            is None
        )
        wait_until(
            lambda: here.ok("flow-run", "inspect", second["id"], "-o", "json").json["state_type"] == "RUNNING", 120
        )
        go.touch()
        for run in (first, second):
            assert here.ok("flow-run", "watch", run["id"]).code == 0
    here.ok("concurrency-limit", "delete", name, "--flow-runs")
    assert here("concurrency-limit", "inspect", name, "--flow-runs").code == 3


def test_a_limit_on_flow_runs_is_another_one_than_that_on_task_runs(here: Terminal, name: str) -> None:
    here.ok("concurrency-limit", "create", name, "7", "--flow-runs")
    assert here("concurrency-limit", "inspect", name).code == 3
    here.ok("concurrency-limit", "create", name, "3")
    assert here.ok("concurrency-limit", "inspect", name, "-o", "json").json["concurrency_limit"] == 3
    assert here.ok("concurrency-limit", "inspect", name, "--flow-runs", "-o", "json").json["concurrency_limit"] == 7
    missed = here("concurrency-limit", "delete", f"{name}x", "--flow-runs")
    assert (missed.code, f"Did you mean '{name}'" in missed.err) == (3, True)


def test_the_priority_of_a_queue_is_given_at_first_or_later(here: Terminal, name: str) -> None:
    assert here.ok("work-queue", "create", name, "-q", "3", "-o", "json").json["priority"] == 3
    here.ok("work-queue", "set-priority", name, "1")
    assert here.ok("work-queue", "inspect", name, "-o", "json").json["priority"] == 1
    assert here("work-queue", "set-priority", name, "0").code == 2


def test_a_pool_is_overwritten_only_if_that_is_said(here: Terminal, name: str) -> None:
    here.ok("work-pool", "create", name, "--limit", "3")
    assert here("work-pool", "create", name).code == 6
    changed = here.ok("work-pool", "create", name, "--overwrite", "--paused", "-d", "text", "-o", "json").json
    assert (changed["is_paused"], changed["description"], changed["concurrency_limit"]) == (True, "text", 3)
    refused = here("work-pool", "create", name, "--overwrite", "--type", "process")
    assert (refused.code, "prefect-agent, which stays" in refused.err) == (2, True)


@pytest.mark.parametrize("flag", ["--set-as-default", "--provision-infrastructure", "--provision-infra"])
def test_what_a_pool_cannot_be_is_refused_with_what_to_do(here: Terminal, name: str, flag: str) -> None:
    refused = here("work-pool", "create", name, flag)
    assert refused.code == 2
    assert "penstock deployment build" in refused.err or "penstock block create" in refused.err
    assert here("work-pool", "inspect", name).code == 3


def test_pools_of_agents_have_an_empty_job_template(here: Terminal) -> None:
    assert here.ok("work-pool", "get-default-base-job-template").json == {}
    here.ok("work-pool", "get-default-base-job-template", "-t", "prefect-agent", "-f", "template.json")
    assert json.loads((here.folder / "template.json").read_text()) == {}
    assert here("work-pool", "get-default-base-job-template", "-t", "kubernetes").code == 2
    assert WorkPoolCreate(name="n").type == work_pool.AGENT_TYPE


def test_runs_of_a_queue_and_of_a_pool_are_previewed(here: Terminal, name: str) -> None:
    here.ok("work-pool", "create", name)
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-q", "jobs", "-p", name, "-a")
    here.ok("deployment", "run", f"hello/{name}", "--start-in", "3h")
    here.ok("deployment", "run", f"hello/{name}")
    for words in (["work-queue", "preview", "jobs", "-p", name], ["work-pool", "preview", name]):
        assert len(here.ok(*words, "-o", "json").json) == 2
        assert len(here.ok(*words, "-h", "1", "-o", "json").json) == 1
    assert len(here.ok("work-queue", "read-runs", "jobs", "-p", name, "-o", "json").json) == 1


def _lines_of_the_page() -> list[list[str]]:
    """The commands that docs/queues-and-limits.md shows, in their order."""
    page = Path(__file__).parents[3] / "docs" / "queues-and-limits.md"
    return [shlex.split(line) for line in re.findall(r"^\$ penstock (.*)$", page.read_text(), re.MULTILINE)]


def test_the_commands_of_the_page_work_in_their_order(tmp_path: Path) -> None:
    lines = _lines_of_the_page()
    assert len(lines) > 12
    (tmp_path / "flows.py").write_text(FLOWS)
    with server() as fresh:
        terminal = SameProcess(fresh.env, tmp_path)
        terminal.ok("deployment", "build", "flows.py:hello", "-n", "d", "-a")
        terminal.ok("deployment", "run", "hello/d")
        for words in lines:
            if words[:2] == ["agent", "start"]:
                verb = agent_commands.command.commands["start"]
                assert verb.make_context("start", words[2:]).params["run_once"] is False
            else:
                terminal.ok(*words)
        said = terminal.ok("flow-run", "explain", "@latest").out
        assert said == "No agent has ever asked for work queue 'default': penstock agent start -q default.\n"
