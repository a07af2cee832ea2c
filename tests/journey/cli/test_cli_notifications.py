"""`penstock notification`: the commands of the page about notifications, and what they say when something is wrong."""

import json
import re
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_process import SameProcess, Terminal

from penstock.testing import TestServer, server, wait_until

PAGE = Path(__file__).parents[3] / "docs" / "notifications.md"


@pytest.fixture(scope="module")
def running() -> Iterator[TestServer]:
    with server(env={"PENSTOCK_NOTIFICATIONS_TRIES": "1"}) as found:
        yield found


@pytest.fixture
def terminal(running: TestServer, tmp_path: Path) -> Terminal:
    return SameProcess(running.env, tmp_path)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and the texts that it gets."""
    texts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/", texts
        listening.shutdown()
        thread.join()


@pytest.fixture
def block(terminal: Terminal, hook: tuple[str, list[str]]) -> str:
    """A notifier of the test's own."""
    name = f"slack-webhook/hook-{hook[0].rpartition(':')[2].strip('/')}"
    terminal.ok("block", "create", "slack-webhook", "-n", name.partition("/")[2], f"url={hook[0]}", "--overwrite")
    return name


def made(terminal: Terminal, block: str, *options: str) -> str:
    return terminal.ok("notification", "create", block, *options, "-o", "name").out.strip()


def test_the_commands_of_the_page_work(terminal: Terminal, hook: tuple[str, list[str]]):
    commands = re.findall(r"^\$ penstock (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 4
    policy = ""
    for command in commands:
        words = [
            policy if word == "3ceff4d5" else re.sub(r"https://hooks\.slack\.com/\S+", hook[0], word)
            for word in shlex.split(command)
        ]
        done = terminal.ok(*words, "-o", "json")
        policy = done.json["id"][:8] if words[:2] == ["notification", "create"] else policy
    (text,) = hook[1]
    assert "This is a test of a notification policy" in text


def test_the_page_names_every_variable_and_every_setting():
    from penstock.model.message_templates import VARIABLES
    from penstock.settings import SETTINGS

    page = PAGE.read_text()
    missing = [f"{{{name}}}" for name, meaning in VARIABLES.items() if f"| `{{{name}}}` | {meaning} |" not in page]
    missing += [name for name in SETTINGS if "NOTIFICATIONS" in name and name not in page]
    assert missing == []


def test_a_policy_is_made_listed_paused_resumed_and_deleted(terminal: Terminal, block: str):
    policy = made(terminal, block)
    row = terminal.ok("notification", "inspect", policy[:8], "-o", "json").json
    assert (row["id"], row["state_names"], row["tags"]) == (policy, ["Failed", "TimedOut", "Crashed"], [])
    assert (row["block"], row["is_active"], row["deliveries"]) == (block, True, [])
    assert policy in terminal.ok("notifications", "ls", "-o", "name").out.split()
    assert "Paused" in terminal.ok("notification", "pause", policy).err
    assert terminal.ok("notification", "inspect", policy, "-o", "json").json["is_active"] is False
    assert terminal.ok("notification", "resume", policy, "--fields", "is_active").out == "is_active\tyes\n"
    terminal.ok("notification", "delete", policy)
    gone = terminal("notification", "inspect", policy)
    assert (gone.code, "There is no notification policy" in gone.err) == (3, True)


def test_a_policy_for_every_state_of_runs_with_tags_and_words_of_its_own(terminal: Terminal, block: str):
    (terminal.folder / "words.txt").write_text("{flow_name}\n{reason}")
    policy = made(terminal, block, "--any-state", "-t", "prod", "-t", "eu", "--template-file", "words.txt", "--paused")
    row = terminal.ok("notification", "inspect", policy, "-o", "json").json
    assert (row["state_names"], row["tags"], row["is_active"]) == ([], ["prod", "eu"], False)
    shown = terminal.ok("notification", "test", policy, "--dry-run").out
    assert shown == "example-flow/test-run: Failed\n\nexample-flow\nUserCodeRaised\n"
    terminal.ok("notification", "delete", policy)


def test_what_became_of_messages_is_shown(
    running: TestServer, terminal: Terminal, block: str, hook: tuple[str, list[str]]
):
    policy = made(terminal, block, "-t", "shown", "-s", "Failed")
    with running.client() as client:
        flow_id = client.request("POST", "/flows/", {"name": "etl"})["id"]
        run = {"flow_id": flow_id, "name": "red-fox", "tags": ["shown"], "state": {"type": "FAILED"}}
        client.request("POST", "/flow_runs/", run)
    wait_until(lambda: hook[1], 120, "nothing arrived")
    wait_until(lambda: "Sent" in terminal.ok("notification", "inspect", policy).out, 120, "it is not shown as sent")
    lines = terminal.ok("notification", "inspect", policy).out.splitlines()
    assert lines[-2] == "CREATED\tRUN\tSTATE\tMORE\tSTATUS\tTRIES\tNEXT TRY\tERROR"
    assert lines[-1].split("\t")[1:] == ["red-fox", "Failed", "", "Sent", "1", "", ""]
    terminal.ok("notification", "delete", policy)


def test_a_test_that_does_not_arrive_is_a_failed_check_with_the_words_of_the_service(terminal: Terminal):
    terminal.ok("block", "create", "slack-webhook", "-n", "dead", "url=http://127.0.0.1:9/s3cret")
    policy = made(terminal, "slack-webhook/dead")
    done = terminal("notification", "test", policy)
    assert done.code == 7
    assert "Connection refused" in done.err
    assert "penstock block inspect slack-webhook/dead" in done.err
    assert "s3cret" not in done.err
    refused = terminal("block", "delete", "slack-webhook/dead")
    assert (refused.code, f"notification policy {policy}" in refused.err) == (6, True)
    assert policy in terminal.ok("block", "inspect", "slack-webhook/dead").out
    terminal.ok("notification", "delete", policy)
    terminal.ok("block", "delete", "slack-webhook/dead")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "BLOCK", "--state", "crashed"], 2, "Did you mean 'Crashed'?"),
        (["create", "BLOCK", "--template", "{reson}"], 2, "--template: there is no variable {reson}"),
        (["create", "BLOCK", "--any-state", "-s", "Failed"], 2, "exclude each other"),
        (["create", "BLOCK", "--template", "x", "--template-file", "words.txt"], 2, "exclude each other"),
        (["create", "slack-webhook/nobody"], 3, "There is no block 'slack-webhook/nobody'"),
        (["create", "secret/s"], 2, "is no notifier"),
        (["pause", "all"], 2, "names no notification policy"),
        (["pause", "ffffffff"], 3, "See `penstock notification ls`"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(
    terminal: Terminal, block: str, arguments: list[str], code: int, words: str
):
    (terminal.folder / "words.txt").write_text("x")
    terminal.ok("block", "create", "secret", "-n", "s", "value=x", "--overwrite")
    done = terminal("notification", *(block if word == "BLOCK" else word for word in arguments))
    assert (done.code, words in done.err) == (code, True), done
