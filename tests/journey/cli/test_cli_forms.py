"""Every command that prints data prints it in every form, against a real server with something of everything in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from cli_process import FLOWS, Ended, SameProcess, Terminal, known_agent

from penstock.testing import TestServer

FORMS = ("table", "wide", "json", "jsonl", "yaml", "name")

READING = [
    "flow ls",
    "flow-run ls",
    "flow-run ls --due --limit 5",
    "flow-run ls --flow-name hello --state completed --state-type COMPLETED --limit 5",
    "flow-run inspect @latest",
    "flow-run attempts @latest",
    "flow-run logs @latest",
    "flow-run logs @latest --tail -n 2",
    "flow-run logs @latest --head --reverse --level INFO --since 1h",
    "flow-run explain @latest",
    "task-run ls",
    "task-run ls --flow-run @latest --state Completed",
    "task-run inspect @latest",
    "task-run logs @latest",
    "task-run logs @latest --tail -n 1",
    "deployment ls",
    "deployment ls --flow-name hello --by-created",
    "deployment inspect hello/forms",
    "work-queue ls",
    "work-queue ls -p default-agent-pool -m for",
    "work-queue inspect forms",
    "work-queue preview forms",
    "work-queue preview forms -h 48",
    "work-queue read-runs forms",
    "work-pool ls",
    "work-pool inspect default-agent-pool",
    "work-pool preview default-agent-pool",
    "block ls",
    "block type ls",
    "block type inspect process",
    "concurrency-limit ls",
    "concurrency-limit ls --limit 3 --offset 0",
    "concurrency-limit inspect forms",
    "concurrency-limit read forms",
    "concurrency-limit ls --flow-runs",
    "concurrency-limit inspect forms --flow-runs",
    "global-concurrency-limit ls",
    "gcl inspect forms",
    "variable ls",
    "variable ls --limit 5 --tag forms",
    "variable inspect forms",
    "variable get forms",
    "artifact ls",
    "artifact ls --all --limit 3",
    "artifact inspect forms",
    "artifact inspect forms --limit 1",
    "agent ls",
    "agent ls --all --limit 3",
    "api GET /admin/version",
    "api POST /flows/filter -f limit=5",
    "doctor",
]

#: Commands that change something and can be asked again.
WRITING = [
    "deployment run hello/forms --start-in 1h",
    "deployment run forms --start-at 2040-01-01 --tag t --name planned -p name=x",
    "deployment apply hello-deployment.yaml",
    "deployment set-schedule hello/forms --cron",
    "deployment pause-schedule hello/forms",
    "deployment resume-schedule hello/forms",
    "deployment set-schedule hello/forms --no-schedule",
    "work-queue pause forms",
    "work-queue resume forms",
    "work-queue set-concurrency-limit forms 3",
    "work-queue clear-concurrency-limit forms",
    "work-queue set-priority forms 2",
    "deployment set-concurrency-limit hello/forms 3",
    "deployment clear-concurrency-limit hello/forms",
    "concurrency-limit create forms 4 --flow-runs",
    "work-pool pause default-agent-pool",
    "work-pool resume default-agent-pool",
    "work-pool set-concurrency-limit default-agent-pool 7",
    "work-pool clear-concurrency-limit default-agent-pool",
    "work-pool update default-agent-pool --description text",
    "variable set forms changed --overwrite --tag forms",
    "concurrency-limit create forms 4",
    "concurrency-limit reset forms",
    "gcl update forms --limit 5 --slot-decay-per-second 0.5 --active-slots 0 --enable",
    "gcl disable forms",
    "gcl enable forms",
]


@pytest.fixture(scope="module")
def furnished(running: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A server that has seen one run of a deployment; its agent still serves another queue."""
    folder: Path = tmp_path_factory.mktemp("forms")
    (folder / "flows.py").write_text(FLOWS)
    terminal = SameProcess(running.env, folder)
    with known_agent(running, "-q", "forms"):
        terminal.ok("deployment", "build", "flows.py:hello", "-n", "forms", "-q", "forms", "-a")
        terminal.ok("deployment", "run", "hello/forms", "--watch")
        terminal.ok("variable", "set", "forms", "here", "-t", "forms")
        terminal.ok("concurrency-limit", "create", "forms", "3")
        terminal.ok("concurrency-limit", "create", "forms", "3", "--flow-runs")
        terminal.ok("global-concurrency-limit", "create", "forms", "--limit", "3")
        for text in ("older", "newer"):
            terminal.ok("api", "POST", "/artifacts/", "-f", "key=forms", "-f", "type=markdown", "-f", f"data={text}")
        yield terminal


def _check(said: Ended, form: str) -> None:
    assert said.code == 0, said
    if form == "json":
        json.loads(said.out)
    elif form == "jsonl":
        assert all(json.loads(line) is not None for line in said.out.splitlines())
    elif form == "yaml":
        yaml.safe_load(said.out)
    elif form == "name":
        assert all(line and "\t" not in line for line in said.out.splitlines())


def _words(line: str) -> list[str]:
    words = line.split()
    return [*words, "0 9 * * 1-5"] if words[-1] == "--cron" else words


@pytest.mark.parametrize("line", READING)
def test_what_is_read_is_printed_in_every_form(furnished: Terminal, line: str) -> None:
    plain = furnished.ok(*_words(line))
    assert plain.out
    for form in ("json", "jsonl", "yaml", "name") if not line.startswith("flow-run ls") else FORMS:
        _check(furnished(*_words(line), "-o", form), form)


@pytest.mark.parametrize("line", WRITING)
def test_what_is_done_is_said_to_people_and_given_to_machines(furnished: Terminal, line: str) -> None:
    plain = furnished.ok(*_words(line))
    assert plain.out == ""
    assert plain.err
    for form in ("json", "name"):
        said = furnished("-q", *_words(line), "-o", form)
        _check(said, form)
        assert said.out


@pytest.mark.parametrize("noun", ["work-queue", "work-pool"])
def test_what_is_made_and_deleted_is_given_to_machines(furnished: Terminal, noun: str) -> None:
    name = f"{noun}-{uuid4().hex[:6]}"
    assert furnished.ok(noun, "create", name, "-o", "json").json["name"] == name
    assert furnished(noun, "create", name).code == 6
    assert furnished.ok(noun, "delete", name, "-o", "name").out == f"{name}\n"
    assert furnished(noun, "delete", name).code == 3


def test_a_variable_is_set_read_and_unset(furnished: Terminal) -> None:
    name = f"v_{uuid4().hex[:6]}"
    assert furnished.ok("variable", "set", name, "a value", "-o", "json").json["value"] == "a value"
    assert furnished.ok("variable", "get", name).out == "a value\n"
    assert furnished.ok("variable", "get", name, "-o", "json").json["name"] == name
    furnished.ok("variable", "set", name, "another", "--overwrite")
    assert furnished.ok("variable", "get", name).out == "another\n"
    assert furnished.ok("variable", "unset", name, "-o", "name").out == f"{name}\n"
    assert furnished("variable", "get", name).code == 3


def test_artifacts_are_listed_by_key_and_deleted_with_all_their_versions(furnished: Terminal) -> None:
    key = f"a-{uuid4().hex[:6]}"
    for text in ("1", "2", "3"):
        furnished.ok("api", "POST", "/artifacts/", "-f", f"key={key}", "-f", f"data=v{text}")
    (listed,) = [row for row in furnished.ok("artifact", "ls", "-o", "json").json if row["key"] == key]
    versions = furnished.ok("artifact", "inspect", key, "-o", "json").json
    assert [row["data"] for row in versions] == ["v3", "v2", "v1"]
    assert listed["id"] == versions[0]["id"]
    assert len([row for row in furnished.ok("artifact", "ls", "-a", "-o", "json").json if row["key"] == key]) == 3
    assert furnished.ok("artifact", "delete", "--id", listed["id"], "-o", "name").out == f"{listed['id']}\n"
    assert len(furnished.ok("artifact", "inspect", key, "-o", "name").out.splitlines()) == 2
    furnished.ok("artifact", "delete", key)
    assert furnished("artifact", "inspect", key).code == 3


def test_limits_are_made_shown_with_their_holders_and_deleted(furnished: Terminal) -> None:
    name, holder = f"limit-{uuid4().hex[:6]}", str(uuid4())
    made = furnished.ok("gcl", "create", name, "-l", "2", "-o", "json").json
    assert (made["name"], made["limit"], made["active_slots"]) == (name, 2, 0)
    assert furnished("gcl", "create", name, "-l", "2").code == 6
    wish = json.dumps({"wishes": [{"holder_id": holder, "names": [name]}]})
    furnished.ok("api", "POST", "/concurrency_slots/acquire", "--data", wish)
    shown = furnished.ok("gcl", "inspect", name, "-o", "json").json
    assert (shown["active_slots"], [held["holder_id"] for held in shown["holders"]]) == (1, [holder])
    assert holder in furnished.ok("gcl", "inspect", name).out
    furnished.ok("gcl", "inspect", name, "--file", "limit.json")
    assert json.loads((furnished.folder / "limit.json").read_text())["name"] == name
    assert furnished.ok("gcl", "delete", name, "-o", "name").out == f"{name}\n"
    assert furnished("gcl", "inspect", name).code == 3
    furnished.ok("concurrency-limit", "create", name, "1")
    assert furnished.ok("concurrency-limit", "delete", name, "-o", "name").out == f"{name}\n"
    assert furnished("concurrency-limit", "inspect", name).code == 3


def test_a_reference_that_one_command_prints_is_accepted_by_the_next(furnished: Terminal) -> None:
    for listing, reading in (
        (("flow-run", "ls", "--limit", "1"), ("flow-run", "inspect")),
        (("task-run", "ls", "--limit", "1"), ("task-run", "inspect")),
        (("deployment", "ls"), ("deployment", "inspect")),
        (("work-queue", "ls"), ("work-queue", "inspect")),
        (("work-pool", "ls"), ("work-pool", "inspect")),
        (("block", "type", "ls"), ("block", "type", "inspect")),
        (("variable", "ls"), ("variable", "inspect")),
        (("artifact", "ls"), ("artifact", "inspect")),
    ):
        names = furnished.ok(*listing, "-o", "name").out.splitlines()
        assert names
        said = furnished.ok(*reading, names[0], "-o", "name")
        assert said.out == f"{names[0]}\n"


def test_runs_are_found_by_id_by_its_beginning_and_by_name(furnished: Terminal) -> None:
    run = furnished.ok("flow-run", "ls", "--state", "Completed", "--limit", "1", "-o", "json").json[0]
    for reference in (run["id"], run["id"].replace("-", ""), run["id"][:10], run["name"]):
        assert furnished.ok("flow-run", "inspect", reference, "-o", "name").out == f"{run['id']}\n"


def test_fields_are_what_was_asked_for(furnished: Terminal) -> None:
    rows = furnished.ok("flow-run", "ls", "--limit", "1", "-o", "json", "--fields", "name,state.type").json
    assert [set(row) for row in rows] == [{"name", "state.type"}]


def test_a_reader_that_has_seen_enough_makes_no_noise(furnished: Terminal) -> None:
    pipeline = f"{sys.executable} -m penstock.cli flow-run ls -o yaml | head -1"
    done = subprocess.run(
        ["sh", "-c", pipeline], env=furnished.env, capture_output=True, text=True, cwd=furnished.folder
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("flow-run inspect 0b7c63cc-9167-4f6e-98f3-4bae718392b", 2, "31 hexadecimal digits"),
        ("flow-run inspect 0b7c63cc-9167-4f6e-98f3-4bae718392bf", 3, "There is no flow run"),
        ("flow-run inspect no-such-run", 3, "@latest"),
        ("flow-run inspect @last-faild", 2, "@last-failed"),
        ("flow-run inspect @last-failed", 3, "No flow run has failed"),
        ("flow-run watch no-such-run", 3, "There is no flow run"),
        ("flow-run cancel @latest no-such-run", 3, "There is no flow run"),
        ("task-run inspect no-such-run", 3, "There is no task run"),
        ("deployment run hello/frms", 3, "Did you mean 'hello/forms'"),
        ("deployment run hello/forms -p nmae=x", 2, "Did you mean 'name'"),
        ("deployment run --id hello/forms", 2, "no id"),
        ("deployment inspect frms", 3, "Did you mean"),
        ("deployment delete", 2, "Name one deployment"),
        ("deployment apply nothing.yaml", 2, "nothing.yaml"),
        ("work-queue inspect frms", 3, "Did you mean 'forms'"),
        ("work-queue pause frms", 3, "Did you mean 'forms'"),
        ("work-queue create a/b", 2, "/"),
        ("work-pool inspect defalt-agent-pool", 3, "Did you mean 'default-agent-pool'"),
        ("work-pool create prefect-pool", 1, "prefect"),
        ("block inspect process/none", 3, "no block"),
        ("concurrency-limit inspect frms", 3, "Did you mean 'forms'"),
        ("concurrency-limit reset frms", 3, "Did you mean 'forms'"),
        ("concurrency-limit create forms many", 2, "many"),
        ("gcl inspect frms", 3, "Did you mean 'forms'"),
        ("gcl update forms", 2, "Nothing was given"),
        ("gcl update forms --enable --disable", 2, "Both"),
        ("gcl create unlimited", 2, "--limit"),
        ("variable inspect frms", 3, "Did you mean 'forms'"),
        ("variable delete frms", 3, "Did you mean 'forms'"),
        ("variable set forms again", 6, "--overwrite"),
        ("variable set Bad value", 2, "lowercase"),
        ("artifact inspect frms", 3, "Did you mean 'forms'"),
        ("artifact delete", 2, "Name one artifact"),
        ("artifact delete --id forms", 2, "no id"),
        ("block inspect none", 2, "TYPE/NAME"),
        ("block type inspect proces", 3, "Did you mean 'process'"),
        ("api GET /nothing", 3, "nothing"),
        ("run flows.py:helo", 3, "Did you mean 'hello'"),
        ("run flws.py:hello", 3, "flows.py"),
        ("run flows.py:add", 3, "no flow"),
        ("run flows.py:hello -p nmae=x", 2, "Did you mean 'name'"),
        ("run flows.py:hello --override envv.A=b", 2, "Did you mean 'env'"),
        ("deployment build flows.py:helo -n x", 3, "Did you mean 'hello'"),
        ("deployment build flows.py:hello -n x -i proces", 2, "Did you mean 'process'"),
        ("deployment build flows.py:hello -n x -ib process/none", 3, "none"),
        ("deployment build flows.py:hello -n x --override streem_output=false", 2, "Did you mean 'stream_output'"),
        ("deployment build flows.py:hello -n x --override stream_output=sometimes", 2, "stream_output"),
        ("deployment build flows.py:hello -n x --param nmae=x", 2, "Did you mean 'name'"),
        ("deployment build flows.py:hello -n a/b", 2, "may not contain"),
        ("deployment build flows.py:hello -n x --cron nonsense", 2, "no cron expression"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_exit_code_and_nothing_is_done(
    furnished: Terminal, line: str, code: int, said: str
) -> None:
    files = sorted(furnished.folder.glob("*"))
    before = furnished.ok("api", "POST", "/flow_runs/count").out, furnished.ok("api", "POST", "/deployments/count").out
    found = furnished(*line.split())
    assert found.code == code, found
    assert said in found.err
    lines = [text for text in found.err.splitlines() if not text.startswith("Found the flow")]
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2, found.err
    assert found.out == ""
    after = furnished.ok("api", "POST", "/flow_runs/count").out, furnished.ok("api", "POST", "/deployments/count").out
    assert after == before
    assert sorted(furnished.folder.glob("*")) == files
    as_json = furnished(*line.split(), "--format" if line.startswith("deployment build") else "-o", "json")
    if not line.startswith("deployment build"):
        assert set(json.loads(as_json.err.splitlines()[-1])) == {"code", "message", "hint"}


def test_blocks_of_a_file_are_registered_and_their_type_deleted(furnished: Terminal) -> None:
    (furnished.folder / "my_blocks.py").write_text(
        "from penstock.blocks.base import Block\n\n\nclass Windmill(Block):\n    height: int = 3\n"
    )
    try:
        assert furnished.ok("block", "register", "-f", "my_blocks.py", "-o", "name").out == "windmill\n"
        assert furnished("block", "register", "-f", "flows.py").code == 3
        assert furnished("block", "register").code == 2
        assert "height" in furnished.ok("api", "POST", "/block_schemas/filter").out
        assert furnished.ok("block", "type", "delete", "windmill", "-o", "name").out == "windmill\n"
        assert furnished("block", "type", "delete", "windmill").code == 3
        assert furnished("block", "type", "delete", "process").code != 0
    finally:
        (furnished.folder / "my_blocks.py").unlink()
