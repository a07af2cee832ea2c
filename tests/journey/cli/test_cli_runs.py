"""A flow's way from a file to its end, as somebody walks it who only types commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli_process import Terminal, known_agent

from penstock.testing import TestAgent, TestServer, wait_until


@pytest.fixture(scope="module")
def serving(running: TestServer) -> Iterator[TestAgent]:
    """An agent on the queue "served"."""
    with known_agent(running, "-q", "served") as found:
        yield found


def test_run_takes_a_saved_block(terminal: Terminal) -> None:
    terminal.ok("block", "create", "process", "--name", "greets", 'env={"WHO": "a saved block"}')
    (terminal.folder / "who.py").write_text(
        "import os\n\nfrom penstock import flow\n\n\n@flow(log_prints=True)\ndef who():\n    print('from', os.environ['WHO'])\n"
    )
    assert "from a saved block" in terminal.ok("run", "who.py:who", "--on", "process/greets").out
    missing = terminal("run", "who.py:who", "--on", "process/greet")
    assert (missing.code, "greets" in missing.err) == (3, True), missing.err


def test_build_edit_apply_run_and_look(terminal: Terminal, serving: TestAgent) -> None:
    built = terminal.ok("deployment", "build", "flows.py:hello", "-n", "nightly", "-q", "served", "-t", "one")
    assert "hello-deployment.yaml" in built.err
    file = terminal.folder / "hello-deployment.yaml"
    text = file.read_text()
    assert list(yaml.safe_load(text))[:4] == ["name", "description", "version", "work_queue_name"]
    file.write_text(text.replace("parameters: {}", "parameters:\n  name: edited").replace("- one", "- one\n- two"))

    applied = terminal.ok("deployment", "apply", "hello-deployment.yaml", "-o", "json").json
    assert applied["parameters"] == {"name": "edited"}
    assert applied["tags"] == ["one", "two"]

    watched = terminal.ok("deployment", "run", "hello/nightly", "--watch", "-p", "times=2", "--tag", "three")
    assert watched.out.count("hello edited") == 2
    assert "Completed" in watched.err
    assert "No agent" not in watched.err

    run = terminal.ok("flow-run", "inspect", "@latest", "-o", "json").json
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"] == {"name": "edited", "times": 2}
    assert set(run["tags"]) == {"one", "two", "three"}
    assert [attempt["number"] for attempt in run["attempts"]] == [1]

    def has_ended() -> bool:
        (attempt,) = terminal.ok("flow-run", "attempts", "@latest", "-o", "json").json
        return bool(attempt["status"] == "ENDED")

    wait_until(has_ended, 120, "its job has ended, too")
    assert terminal.ok("flow-run", "logs", "@latest").out.count("hello edited") == 2

    # Built again without saying otherwise, it keeps what the server knows.
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "nightly", "--cron", "0 9 1 1 *", "-a")
    kept = terminal.ok("deployment", "inspect", "hello/nightly", "-o", "json").json
    assert kept["parameters"] == {"name": "edited"}
    assert kept["work_queue_name"] == "served"
    assert kept["schedule"]["cron"] == "0 9 1 1 *"
    assert kept["id"] == applied["id"]


def test_a_file_that_is_wrong_is_refused_with_its_place_and_keeps_all_others_back(terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "good", "-o", "good.yaml")
    good = (terminal.folder / "good.yaml").read_text()
    for name, wrong, said in (
        ("field.yaml", good.replace("work_queue_name:", "work_que_name:"), "Did you mean 'work_queue_name'"),
        ("override.yaml", good.replace("infra_overrides: {}", "infra_overrides:\n  envv.A: b"), "Did you mean 'env'"),
        ("block.yaml", good.replace("stream_output: true", "streem_output: true"), "Did you mean 'stream_output'"),
        ("type.yaml", good.replace("block_type_slug: process", "block_type_slug: proces"), "Did you mean 'process'"),
        ("parameter.yaml", good.replace("parameters: {}", "parameters:\n  nmae: x"), "Did you mean 'name'"),
        ("syntax.yaml", good + "\n  - [", "YAML"),
    ):
        assert wrong != good
        (terminal.folder / name).write_text(wrong)
        refused = terminal("deployment", "apply", "good.yaml", name)
        assert refused.code == 2, refused
        assert said in refused.err
    assert terminal("deployment", "inspect", "hello/good").code == 3


def test_an_override_reaches_the_process(terminal: Terminal, serving: TestAgent) -> None:
    (terminal.folder / "shows.py").write_text(
        "import os\nfrom penstock import flow\n\n"
        "@flow(log_prints=True)\ndef shows():\n    print('A is', os.environ['A'])\n"
    )
    terminal.ok("deployment", "build", "shows.py:shows", "-n", "x", "-q", "served", "--override", "env.A=b c", "-a")
    assert "A is b c" in terminal.ok("deployment", "run", "shows/x", "--watch").out


@pytest.mark.parametrize(("flow", "code", "reason"), [("fails", 10, "UserCodeRaised"), ("crashes", 11, "Exited")])
def test_the_exit_code_and_the_last_lines_tell_how_a_run_ended(
    terminal: Terminal, serving: TestAgent, flow: str, code: int, reason: str
) -> None:
    ended = terminal("run", f"flows.py:{flow}", "-q", "served")
    assert ended.code == code, ended
    assert reason in ended.err
    assert "penstock.attempts" not in ended.out, "its state has told how it ended"
    assert "RUNNING" not in ended.err, "it is over, whether its job has ended by now or not"
    assert ("no good" if flow == "fails" else "about to die") in ended.out + ended.err
    run = terminal.ok("flow-run", "inspect", "@last-failed", "-o", "json").json
    assert run["flow_name"] == flow
    assert run["attempts"][-1]["reason"] == reason


def test_run_needs_no_agent_and_leaves_none_behind(terminal: Terminal) -> None:
    queues = terminal.ok("work-queue", "ls", "-o", "name").out
    ended = terminal.ok("run", "flows.py:hello", "-p", "name=you", "-q", "nobody")
    assert "hello you" in ended.out
    assert "the sum is 3" in ended.out
    assert not [row for row in terminal.ok("agent", "ls", "-o", "json").json if row["name"].startswith("run-")]
    known = [row for row in terminal.ok("agent", "ls", "--all", "-o", "json").json if row["name"].startswith("run-")]
    assert known
    assert not [row for row in known if row["open_attempts"]]
    after = terminal.ok("work-queue", "ls", "-o", "name").out
    assert set(after.split()) - set(queues.split()) <= {"nobody"}
    deployments = terminal.ok("deployment", "ls", "--flow-name", "hello", "-o", "name").out
    terminal.ok("run", "flows.py:hello", "-q", "nobody")
    assert terminal.ok("deployment", "ls", "--flow-name", "hello", "-o", "name").out == deployments


def test_run_starts_a_server_of_its_own_when_none_is_set(terminal: Terminal, own_home: Path) -> None:
    env = {key: value for key, value in terminal.env.items() if key != "PENSTOCK_API_URL"}
    alone = Terminal({**env, "PENSTOCK_HOME": str(own_home)}, terminal.folder)
    assert "hello alone" in alone.ok("run", "flows.py:hello", "-p", "name=alone").out


def test_nobody_to_take_a_run_is_said_at_once_with_the_command_that_helps(terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "unserved", "-q", "un served", "-a")
    asked = terminal.ok("deployment", "run", "hello/unserved")
    assert "penstock agent start -q 'un served'" in asked.err
    explained = terminal.ok("flow-run", "explain", "@latest")
    assert "un served" in explained.out
    watched = terminal("flow-run", "watch", "@latest", "--timeout", "1s")
    assert watched.code == 8
    detached = terminal.ok("run", "flows.py:hello", "-q", "un served", "--detach", "-o", "name")
    assert "penstock agent start" in detached.err
    gone = terminal.ok("flow-run", "delete", "-", stdin=detached.out)
    assert "Deleted" in gone.err
    assert terminal("flow-run", "inspect", detached.out.strip()).code == 3


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back(
    terminal: Terminal, serving: TestAgent, tmp_path: Path
) -> None:
    door = tmp_path / "door"
    watching = terminal.start("run", "flows.py:waits", "-q", "served", "-p", f"path={door}")
    try:
        watching.wait_for("waiting")
        watching.interrupt()
        assert watching.wait() == 130
        assert "penstock flow-run watch" in watching.err
        assert "penstock flow-run cancel" in watching.err
    finally:
        watching.close()
    assert terminal.ok("flow-run", "inspect", "@latest", "-o", "json").json["state_type"] == "RUNNING"
    door.touch()
    assert terminal.ok("flow-run", "watch", "@latest").code == 0


def test_cancel_waits_until_nothing_is_left_and_logs_follow_to_the_end(
    terminal: Terminal, serving: TestAgent, tmp_path: Path
) -> None:
    run = terminal.ok(
        "-q", "run", "flows.py:waits", "-q", "served", "-p", f"path={tmp_path / 'never'}", "--detach", "-o", "name"
    ).out.strip()
    following = terminal.start("flow-run", "logs", run, "-f")
    try:
        following.wait_for("waiting")
        cancelled = terminal.ok("flow-run", "cancel", run, "--wait", "-o", "json").json
        assert cancelled["state_type"] == "CANCELLED"
        assert following.wait() == 0
    finally:
        following.close()
    pid = int(cancelled["infrastructure_pid"].rpartition(":")[2])
    assert not Path(f"/proc/{pid}").exists()
    assert terminal("flow-run", "watch", run).code == 12
    assert terminal("flow-run", "cancel", run).code == 6


def test_a_run_can_be_executed_by_hand(terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "by-hand", "-q", "nobody", "-a")
    run = terminal.ok("-q", "deployment", "run", "hello/by-hand", "-o", "name").out.strip()
    executed = terminal.ok("flow-run", "execute", run)
    assert "hello world" in executed.out + executed.err
    assert terminal.ok("flow-run", "watch", run).code == 0


def test_what_is_watched_as_json_is_one_document_the_run_at_its_end(terminal: Terminal, serving: TestAgent) -> None:
    said = terminal.ok("run", "flows.py:hello", "-q", "served", "-o", "json")
    assert (said.json["state_name"], said.json["flow_id"] is None) == ("Completed", False)
    assert "hello world" in said.err
    failed = terminal("-q", "run", "flows.py:fails", "-q", "served", "--output", "yaml", "--fields", "state_name,id")
    assert (failed.code, yaml.safe_load(failed.out)["state_name"]) == (10, "Failed")
    name = terminal("-q", "flow-run", "watch", said.json["id"], "-o", "name")
    assert (name.code, name.out.strip(), name.err) == (0, said.json["id"], "")


def test_a_document_is_there_when_watching_ends_before_the_run(terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:hello", "-n", "unwatched", "-q", "nobody", "-a")
    said = terminal("deployment", "run", "hello/unwatched", "--watch", "--watch-timeout", "0", "-o", "json")
    assert (said.code, json.loads(said.out)["state_name"]) == (8, "Scheduled")


def test_watching_as_json_lines_gives_one_object_per_line(terminal: Terminal, serving: TestAgent) -> None:
    said = terminal.ok("run", "flows.py:hello", "-q", "served", "-o", "jsonl")
    objects = [json.loads(line) for line in said.out.splitlines()]
    kinds = [found.get("kind") for found in objects]
    assert {"state", "log", "run"} <= set(kinds)
    assert kinds[-1] == "run"
    assert [found["name"] for found in objects if found.get("kind") == "state"][-1] == "Completed"


def test_a_flow_that_is_named_in_place_of_a_deployment_is_told_with_its_deployments(terminal: Terminal) -> None:
    terminal.ok("deployment", "build", "flows.py:fails", "-n", "mistaken", "-q", "nobody", "-a")
    said = terminal("deployment", "run", "fails")
    assert said.code == 3
    assert "It is a flow, whose deployments are fails/mistaken" in said.err
    assert "penstock deployment ls" in terminal("deployment", "run", "fails/mistook").err


def test_a_saved_block_is_referred_to_by_the_file(terminal: Terminal, serving: TestAgent) -> None:
    save = "from penstock.infrastructure import Process; Process(env={'WHO': 'block'}).save('mine')"
    subprocess.run([sys.executable, "-c", save], env=terminal.env, check=True)
    (terminal.folder / "who.py").write_text(
        "import os\nfrom penstock import flow\n\n"
        "@flow(log_prints=True)\ndef who():\n    print('it is', os.environ['WHO'])\n"
    )
    terminal.ok("deployment", "build", "who.py:who", "-n", "x", "-q", "served", "-ib", "process/mine", "-a")
    written = yaml.safe_load((terminal.folder / "who-deployment.yaml").read_text())
    assert written["infrastructure"]["_block_document_name"] == "mine"
    assert "it is block" in terminal.ok("deployment", "run", "who/x", "--watch").out
    terminal.ok("deployment", "apply", "who-deployment.yaml")
    assert "process/mine" in terminal.ok("block", "ls", "-o", "name").out


def test_requests_are_told_with_v(terminal: Terminal) -> None:
    said = terminal.ok("flow", "ls", "-v")
    assert "POST /flows/filter: ok" in said.err
    assert os.linesep not in said.err.strip()
