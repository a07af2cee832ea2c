"""`penstock deployment apply`: files, patterns, folders and stdin; what would change, what changes, what is kept."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cli_process import FLOWS, Ended, SameProcess

from penstock.testing import TestServer


class Files(SameProcess):
    """A terminal in a folder of deployment files of the flow `hello`."""

    def build(self, name: str, *arguments: str, file: str | None = None) -> Path:
        file = file or f"{name}.yaml"
        self.ok("deployment", "build", "flows.py:hello", "-n", name, "-o", file, "--no-check", *arguments)
        return self.folder / file

    def apply(self, *arguments: str) -> Ended:
        return self.ok("deployment", "apply", *arguments)

    def live(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("deployment", "inspect", f"hello/{name}", "-o", "json").json
        return found

    def change_elsewhere(self, name: str, **fields: Any) -> None:
        path = f"/deployments/{self.live(name)['id']}"
        self.ok("api", "PATCH", path, "--data", json.dumps(fields))


@pytest.fixture
def files(running: TestServer, tmp_path: Path) -> Files:
    (tmp_path / "flows.py").write_text(FLOWS)
    return Files(running.env, tmp_path)


def edit(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


EDITS = (
    ("description: Says hello.", "description: Says it."),
    ("parameters: {}", "parameters:\n  name: x"),
    ("tags: []", "tags: [one]"),
    ("schedule: null", "schedule:\n  cron: 0 9 * * *"),
)


def test_the_diff_is_what_apply_then_changes(files: Files) -> None:
    file = files.build("diffed")
    new = files("deployment", "apply", str(file), "--diff")
    assert (new.code, new.out.splitlines()[0]) == (7, "hello/diffed (new)")
    assert '  + entrypoint: "flows.py:hello"' in new.out.splitlines()
    assert files("deployment", "inspect", "hello/diffed").code == 3
    files.apply(str(file))
    assert files.apply(str(file), "--diff").out == ""
    edit(file, *EDITS)
    before = files.live("diffed")
    diff = files("deployment", "apply", str(file), "--diff")
    assert diff.code == 7
    assert diff.out.splitlines() == [
        "hello/diffed",
        '  ~ description: "Says hello." → "Says it."',
        '  ~ tags: [] → ["one"]',
        '  + parameters.name: "x"',
        '  + schedules[0 9 * * *]: {"schedule": {"cron": "0 9 * * *", "timezone": null, "day_or": true}}',
    ]
    rows = files("deployment", "apply", str(file), "--diff", "-o", "json").json
    assert files.live("diffed") == before
    applied = files.apply(str(file), "-o", "json").json
    assert [{"deployment": "hello/diffed", **change} for change in applied["changes"]] == rows
    unchanged = files.apply(str(file), "-o", "json").json
    assert (unchanged["changes"], unchanged["updated"]) == ([], applied["updated"])


def test_what_people_changed_is_kept_and_said_unless_the_file_is_forced(files: Files) -> None:
    file = files.build("kept", "--param", "name=file")
    files.apply(str(file))
    files.change_elsewhere("kept", parameters={"name": "people"}, schedule={"cron": "0 12 * * *"})
    said = files.apply(str(file))
    assert 'parameters.name: "people" stays, changed elsewhere (--force: "file")' in said.err
    assert files.live("kept")["schedule"]["cron"] == "0 12 * * *"
    would = files("deployment", "apply", str(file), "--force", "--diff")
    assert '~ parameters.name: "people" → "file"  (changed elsewhere; last applied: "file")' in would.out
    files.apply(str(file), "--force")
    live = files.live("kept")
    assert (live["parameters"], live["schedules"]) == ({"name": "file"}, [])


def test_what_a_file_does_not_say_stays_and_null_clears_it(files: Files) -> None:
    file = files.build("short", "-t", "one", "--param", "name=file", "--cron", "0 9 * * *")
    files.apply(str(file))
    files.change_elsewhere("short", description="people", tags=["one", "people"])
    lines = "name: short\nflow_name: hello\nentrypoint: flows.py:hello\n"
    file.write_text(lines)
    assert files.apply(str(file), "-o", "json").json["changes"] == []
    file.write_text(lines + "tags: null\nparameters: null\nschedule: null\ndescription: null\n")
    files.apply(str(file))
    live = files.live("short")
    assert (live["tags"], live["parameters"], live["schedules"], live["description"]) == ([], {}, [], None)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(files: Files) -> None:
    file = files.build("dry", "-q", f"q-{uuid4().hex[:6]}")
    said = files.apply(str(file), "--dry-run")
    assert "Would create the deployment 'hello/dry'" in said.err
    assert files.apply(str(file), "--dry-run", "-o", "json").json["is_new"] is True
    assert files("deployment", "inspect", "hello/dry").code == 3
    edit(file, ("work_pool_name: null", "work_pool_name: nowhere"))
    refused = files("deployment", "apply", str(file), "--dry-run")
    assert (refused.code, "nowhere" in refused.err, "dry.yaml" in refused.err) == (3, True, True)
    assert files("deployment", "apply", str(file), "--dry-run", "--upload").code == 2


def test_a_folder_gives_its_deployment_files_and_names_the_others(files: Files) -> None:
    folder = files.folder / "deployments"
    folder.mkdir()
    for name in ("a", "b"):
        files.build(f"folder-{name}", file=f"deployments/{name}.yaml")
    (folder / "values.yaml").write_text("image: {{ not yaml\n")
    (folder / "notes.txt").write_text("flow_name: hello\n")
    said = files.apply("deployments", "-o", "json")
    assert [row["name"] for row in said.json] == ["folder-a", "folder-b"]
    assert "Left alone, being no deployment files: values.yaml." in said.err
    assert files.apply("deployments/[ab].yaml", "deployments/a.yaml", "-o", "name").out.split() == [
        "hello/folder-a",
        "hello/folder-b",
    ]
    (files.folder / "empty").mkdir()
    assert "holds no deployment file" in files("deployment", "apply", "empty").err


def test_stdin_is_a_file_and_errors_say_so(files: Files) -> None:
    text = files.build("piped").read_text()
    assert files.ok("deployment", "apply", "-", "-o", "name", stdin=text).out == "hello/piped\n"
    wrong = files("deployment", "apply", "-", stdin=text.replace("tags:", "tag:"))
    assert (wrong.code, "stdin:" in wrong.err, "Did you mean 'tags'" in wrong.err) == (2, True, True)


def test_two_files_of_one_deployment_are_refused(files: Files) -> None:
    first = files.build("twin")
    (files.folder / "again.yaml").write_text(first.read_text())
    refused = files("deployment", "apply", "twin.yaml", "again.yaml")
    assert refused.code == 2
    assert "Both twin.yaml and again.yaml describe the deployment 'hello/twin'" in refused.err


def test_nothing_is_sent_unless_the_server_takes_all_files(files: Files) -> None:
    files.build("first")
    edit(files.build("second"), ("work_pool_name: null", "work_pool_name: nowhere"))
    refused = files("deployment", "apply", "first.yaml", "second.yaml")
    assert refused.code == 3
    assert "second.yaml: Work pool" in refused.err
    assert files("deployment", "inspect", "hello/first").code == 3


def test_a_failure_in_the_middle_says_which_were_applied(files: Files) -> None:
    (files.folder / "store").mkdir()
    (files.folder / "taken").write_text("no folder")
    names = {name: f"{name}-{uuid4().hex[:6]}" for name in ("store", "taken")}
    for name, block in names.items():
        basepath = f"basepath={files.folder / name}"
        files.ok("block", "create", "local-file-system", "--name", block, basepath)
    for name, store in (("one", "store"), ("two", "taken"), ("three", "store")):
        files.build(f"middle-{name}", "-sb", f"local-file-system/{names[store]}", "--skip-upload")
    asked = [f"middle-{name}.yaml" for name in ("one", "two", "three")]
    failed = files("deployment", "apply", *asked, "--upload", "-o", "json")
    assert failed.code == 1
    assert [row["name"] for row in failed.json] == ["middle-one"]
    assert "middle-two.yaml: " in failed.err
    assert "Applied before it: hello/middle-one. Not applied either: hello/middle-three." in failed.err
    assert files("deployment", "inspect", "hello/middle-two").code == 3


def test_a_diff_shows_no_secret(files: Files) -> None:
    file = files.build("secretive")
    files.apply(str(file))
    edit(file, ("env: {}", "env:\n    DB_PASSWORD: hunter2\n    LEVEL: debug"))
    for form in ("table", "json"):
        diff = files("deployment", "apply", str(file), "--diff", "-o", form)
        assert "LEVEL" in diff.out
        assert "hunter2" not in diff.out + diff.err
    assert "hunter2" not in files.apply(str(file), "-o", "json").out
    edit(file, ("hunter2", "hunter3"))
    diff = files("deployment", "apply", str(file), "--diff")
    assert diff.out.splitlines()[1:] == ['  ~ infrastructure.env.DB_PASSWORD: "********" → "********"']


def test_the_limit_of_the_queue_is_part_of_the_diff(files: Files) -> None:
    queue = f"q-{uuid4().hex[:6]}"
    file = files.build("limited", "-q", queue)
    files.apply(str(file), "-l", "3")
    diff = files("deployment", "apply", str(file), "--diff", "-l", "4")
    assert (diff.code, diff.out) == (7, f"hello/limited\n  ~ work queue {queue}: concurrency_limit: 3 → 4\n")
    assert files.apply(str(file), "--diff", "-l", "3").out == ""


def test_what_is_said_to_build_is_meant_now(files: Files) -> None:
    files.build("said", "--cron", "0 9 * * *", "-t", "one", "-a")
    files.change_elsewhere("said", schedule={"cron": "0 12 * * *"}, tags=["people"])
    files.build("said", "--cron", "0 9 * * *", "-a")
    live = files.live("said")
    assert (live["schedule"]["cron"], live["tags"]) == ("0 9 * * *", ["people"])
    files.build("said", "--no-schedule", "-a")
    assert files.live("said")["schedules"] == []
