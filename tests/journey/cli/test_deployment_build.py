"""`penstock deployment build` in all its forms: entrypoints, options, uploads, the check of the code, building again."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_process import FLOWS, SameProcess, Terminal, known_agent
from stores import Stores, stores

from penstock.client import deployments
from penstock.filesystems import LocalFileSystem
from penstock.infrastructure import KubernetesJob, Process
from penstock.testing import TestServer

ONE_FLOW = '''
from penstock import flow


@flow(name="my-flow")
def my_flow():
    """Does nothing."""
    print("it ran")


k8s_flow = my_flow.with_options(name="k8s-flow")
'''


@pytest.fixture
def here(running: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A folder with flows in it, below it and in a package; settings here and on the command line name the server."""
    folder = tmp_path / "project"
    for path, text in (
        ("flows.py", FLOWS),
        ("my_flow.py", ONE_FLOW),
        ("flows/k8s_example.py", ONE_FLOW),
        ("package/__init__.py", ""),
        ("package/module.py", ONE_FLOW),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
    return SameProcess(running.env, folder)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with stores(tmp_path_factory.mktemp("stores")) as found:
        yield found


def _file(here: Terminal, path: str = "my_flow-deployment.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((here.folder / path).read_text())
    return found


#: Command lines as users of Prefect 2 have them in scripts, with the program's name changed.
COMMAND_LINES = """
build ./my_flow.py:my_flow -n my-flow-deployment -t test -i docker-container -sb s3/my-bucket --override env.EXTRA_PIP_PACKAGES=s3fs
build flows/k8s_example.py:k8s_flow --name k8sdev --tag k8s -sb s3/dev -ib kubernetes-job/k8sdev
build my_flow.py:my_flow -n l1 --version 7 -t a --tag b -q q1 -p default-agent-pool --limit 3 -i process -a
build my_flow.py:my_flow --name l2 -v 7 --work-queue q2 --pool default-agent-pool -l 3 --infra process --apply
build my_flow.py:my_flow -n l3 --infra-block kubernetes-job/k8sdev --override namespace=other --override 'env={"A": "b"}'
build my_flow.py:my_flow -n l4 --storage-block s3/dev/below/it --skip-upload --no-check
build my_flow.py:my_flow -n l5 -sb s3/dev --path below/it
build my_flow.py:my_flow -n l6 --cron "0 9 * * 1-5" --timezone America/New_York --output l6.yaml
build my_flow.py:my_flow -n l7 --interval 3600 --anchor-date 2024-01-01T00:00:00 --timezone UTC -o l7
build my_flow.py:my_flow -n l8 --rrule FREQ=DAILY --timezone Europe/Berlin
build my_flow.py:my_flow -n l9 --rrule '{"rrule": "FREQ=DAILY", "timezone": "Europe/Berlin"}'
build my_flow.py:my_flow -n l8 --no-schedule -d "Something else." -a
build flows.py:hello -n l10 --param name=you --param times=2 --skip-upload
build flows.py:hello -n l11 --params '{"name": "you", "times": 2}' --path /somewhere --no-check
build my_flow.py:my_flow -n l12 -i kubernetes-job --code image --path /app --concurrency-limit 2 --enforce-parameter-schema
apply l6.yaml l7.yaml
apply *-deployment.yaml --limit 4
ls
ls --flow-name my-flow --by-created
inspect my-flow/l1
run my-flow/l1
run l2 --start-in "2 hours"
run my-flow/l2 --start-at 2040-01-01T09:00:00 --tag x
run hello/l11 -p name=me --params '{"times": 1}'
set-schedule my-flow/l1 --cron "0 9 * * *" --timezone UTC --day_or true
pause-schedule my-flow/l1
resume-schedule my-flow/l1
delete my-flow/l7
"""


def test_command_lines_of_prefect_2_work_with_the_name_of_the_program_changed(here: Terminal, places: Stores) -> None:
    places.block("s3").save("my-bucket")
    places.block("s3").save("dev")
    KubernetesJob(namespace="dev").save("k8sdev")
    for line in COMMAND_LINES.strip().splitlines():
        here.ok("deployment", *shlex.split(line))
    listed = set(here.ok("deployment", "ls", "-o", "name").out.split())
    assert {"my-flow/l1", "my-flow/l2", "my-flow/l6", "my-flow/l8", "k8s-flow/k8sdev", "hello/l11"} <= listed
    assert "my-flow/l7" not in listed


@pytest.mark.parametrize(
    ("folder", "typed", "kept"),
    [
        (".", "my_flow.py:my_flow", "my_flow.py:my_flow"),
        (".", "./flows/k8s_example.py:my_flow", "flows/k8s_example.py:my_flow"),
        (".", "flows/../my_flow.py:my_flow", "my_flow.py:my_flow"),
        (".", "{here}/flows/k8s_example.py:my_flow", "flows/k8s_example.py:my_flow"),
        (".", "flows\\k8s_example.py:my_flow", "flows/k8s_example.py:my_flow"),
        (".", "package.module:my_flow", "package.module:my_flow"),
        (".", "my_flow.py:my-flow", "my_flow.py:my-flow"),
        ("flows", "k8s_example.py:my_flow", "k8s_example.py:my_flow"),
        ("flows", "../my_flow.py:my_flow", "{here}/my_flow.py:my_flow"),
        ("../other", "{here}/my_flow.py:my_flow", "{here}/my_flow.py:my_flow"),
    ],
)
def test_an_entrypoint_is_kept_so_that_runs_find_it(
    here: Terminal, running: TestServer, folder: str, typed: str, kept: str, name: str, tmp_path: Path
) -> None:
    there = SameProcess(running.env, here.folder / folder)
    typed, kept = (text.replace("{here}", str(here.folder)) for text in (typed, kept))
    file = tmp_path / "out.yaml"
    done = there.ok("deployment", "build", typed, "-n", name, "-o", str(file))
    written = yaml.safe_load(file.read_text())
    assert (written["entrypoint"], written["path"]) == (kept, str((here.folder / folder).resolve()))
    assert "Checked the code" in done.err


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("my_flow.py", 2, "Write my_flow.py:my_flow."),
        ("my_flow.py:", 2, "Write my_flow.py:my_flow."),
        ("my_flow", 2, "Write FILE.py:FLOW or package.module:FLOW."),
        ("my_flow.py:my_flo", 3, "Did you mean 'my_flow'"),
        ("my_flwo.py:my_flow", 3, "Did you mean 'my_flow.py'"),
        ("flows/k8s_exmple.py:my_flow", 3, "Did you mean 'k8s_example.py'"),
        ("package.modul:my_flow", 3, "There is no module 'package.modul'"),
        ("flows.py:add", 3, "a task"),
        ("C:\\flows\\my_flow.py:my_flow", 3, "There is no file 'C:/flows/my_flow.py'"),
    ],
)
def test_a_wrong_entrypoint_is_told_with_the_nearest_right_one(
    here: Terminal, typed: str, code: int, said: str, name: str
) -> None:
    done = here("deployment", "build", typed, "-n", name)
    assert done.code == code, done
    assert said in done.err
    assert list(here.folder.glob("*.yaml")) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-i", "process", "-ib", "process/x"], "--infra and --infra-block exclude"),
        (["--param", "a=1", "--params", "{}"], "--param and --params exclude"),
        (["--no-schedule", "--cron", "* * * * *"], "--no-schedule and --cron exclude"),
        (["--cron", "* * * * *", "--interval", "5"], "exclude"),
        (["--anchor-date", "2024-01-01"], "--anchor-date"),
        (["--timezone", "Europe/Berln", "--cron", "* * * * *"], "Did you mean 'Europe/Berlin'"),
        (["-ib", "process"], "Write -ib TYPE/NAME"),
        (["-sb", "s3"], "Write -sb TYPE/NAME"),
        (["-o", "x.json"], "something.yaml"),
        (["--code", "image"], "has no image"),
        (["--code", "bundle", "--path", "x"], "path says nothing"),
        (["--concurrency-limit", "-1"], "--concurrency-limit"),
        (["--override", "wrking_dir=/tmp"], "Did you mean 'working_dir'"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_anything_is_done(
    here: Terminal, options: list[str], said: str, name: str
) -> None:
    done = here("deployment", "build", "my_flow.py:my_flow", "-n", name, *options, "-a")
    assert done.code == 2, done
    assert said in done.err
    assert not (here.folder / "my_flow-deployment.yaml").exists()


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A storage `local-file-system/store-…`, and a list to which each upload into such storages is added."""
    found: list[Any] = []
    put = LocalFileSystem.put_directory

    def counted(self: LocalFileSystem, *args: Any, **kwargs: Any) -> int:
        found.append(kwargs)
        return put(self, *args, **kwargs)

    monkeypatch.setattr(LocalFileSystem, "put_directory", counted)
    return found


def test_code_is_uploaded_once_without_what_nobody_wants_and_runs_from_there(
    here: Terminal, running: TestServer, uploads: list[Any], name: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    LocalFileSystem(basepath=str(store)).save(name)
    (here.folder / ".env").write_text("SECRET=1\n")
    (here.folder / "data.csv").write_text("1\n")
    done = here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "-sb", f"local-file-system/{name}/a/b", "-q", name, "-a")  # fmt: skip
    assert len(uploads) == 1
    assert "Wrote .penstockignore" in done.err
    assert (store / "a/b/my_flow.py").exists()
    assert not (store / "a/b/.env").exists()
    written = _file(here)
    assert (written["path"], written["storage"]["_block_document_name"]) == ("a/b", name)

    (here.folder / ".penstockignore").write_text("*.csv\n")
    here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "-sb", f"local-file-system/{name}", "--path", "c")
    assert len(uploads) == 2
    assert (store / "c/.env").exists()
    assert not (store / "c/data.csv").exists()

    (here.folder / ".penstockignore").rename(here.folder / ".prefectignore")
    told = here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "--path", "d", "-sb", f"local-file-system/{name}")  # fmt: skip
    assert "Wrote .penstockignore" not in told.err
    assert not (store / "d/data.csv").exists()

    here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "-sb", f"local-file-system/{name}/a/b", "--skip-upload")  # fmt: skip
    assert len(uploads) == 3
    (here.folder / "my_flow.py").write_text("raise RuntimeError('the local file is not what runs')\n")
    with known_agent(running, "-q", name):
        here.ok("deployment", "run", f"my-flow/{name}", "--watch")


def test_code_that_lies_elsewhere_is_not_uploaded_in_vain(
    here: Terminal, running: TestServer, uploads: list[Any], name: str, tmp_path: Path
) -> None:
    LocalFileSystem(basepath=str(tmp_path / "store")).save(name)
    there = SameProcess(running.env, here.folder / "flows")
    done = there("deployment", "build", "../my_flow.py:my_flow", "-n", name, "-sb", f"local-file-system/{name}")
    assert done.code == 2
    assert f"does not lie in {here.folder / 'flows'}" in done.err
    assert uploads == []


def test_secrets_of_a_storage_come_back_from_its_block_not_from_the_file(
    here: Terminal, running: TestServer, places: Stores, name: str
) -> None:
    block = places.block("s3")
    block.save(name)
    here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "-sb", f"s3/{name}")
    assert _file(here)["storage"]["aws_secret_access_key"] == "**********"
    here.ok("deployment", "apply", "my_flow-deployment.yaml")
    with running.client() as client:
        record = client.send(deployments.read_deployment_by_name(f"my-flow/{name}"))
    assert record.storage_document_id == block.block_id
    text = (here.folder / "my_flow-deployment.yaml").read_text()
    (here.folder / "wrong.yaml").write_text(text.replace("bucket_path:", "bucket_pth:"))
    refused = here("deployment", "apply", "wrong.yaml")
    assert refused.code == 2
    assert "Did you mean 'bucket_path'" in refused.err


def test_code_that_a_run_would_not_find_fails_the_build(here: Terminal, name: str) -> None:
    (here.folder / "elsewhere").mkdir()
    options = ["deployment", "build", "my_flow.py:my_flow", "-n", name, "--path", str(here.folder / "elsewhere")]
    done = here(*options)
    assert done.code == 7
    assert "Runs would not find their code" in done.err
    assert "There is no file 'my_flow.py'" in done.err
    assert "--no-check" in done.err
    here.ok(*options, "--no-check")


def test_built_again_the_file_keeps_what_was_written_into_it(here: Terminal, running: TestServer, name: str) -> None:
    build = ["deployment", "build", "my_flow.py:my_flow", "-n", name]
    here.ok(*build, "-t", "one")
    file = here.folder / "my_flow-deployment.yaml"
    mine = file.read_text().replace("tags:\n- one\n", "# whose tags\ntags: [mine]   # ours\n")
    mine = mine.replace("infra_overrides: {}", "infra_overrides: {env.A: b}  # for tests")
    file.write_text(mine)
    (here.folder / "my_flow.py").write_text(ONE_FLOW.replace("Does nothing", "Does more"))
    here.ok(*build, "--cron", "0 9 * * *", "-a")
    upper = file.read_text().partition("###\n### DO NOT")[0]
    assert "# whose tags\ntags: [mine]   # ours\n" in upper
    assert "infra_overrides: {env.A: b}  # for tests" in upper
    assert "description: Does more.\n" in upper
    with running.client() as client:
        record = client.send(deployments.read_deployment_by_name(f"my-flow/{name}"))
    assert (record.tags, record.infra_overrides, record.description) == (["mine"], {"env.A": "b"}, "Does more.")
    assert record.schedule is not None
    other = here.ok("deployment", "build", "my_flow.py:my_flow", "-n", f"{name}-2")
    assert "was the file of another deployment" in other.err


def test_the_same_command_again_does_not_undo_what_was_edited(here: Terminal, name: str) -> None:
    build = ["deployment", "build", "flows.py:hello", "-n", name, "-i", "docker-container", "--param", "name=x"]
    here.ok(*build, "--override", "env.A=1")
    file = here.folder / "hello-deployment.yaml"
    text = file.read_text().replace("mem_limit: null", "mem_limit: 512m  # enough")
    file.write_text(
        text.replace("  name: x\n", "  name: x\n  times: 5\n").replace("  env.A: ", "  env.B: mine\n  env.A: ")
    )
    here.ok(*build, "--override", "env.A=2")
    written = _file(here, file.name)
    assert written["parameters"] == {"name": "x", "times": 5}
    assert written["infra_overrides"] == {"env.B": "mine", "env.A": "2"}
    assert "mem_limit: 512m  # enough" in file.read_text()
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-i", "process", "--params", "{}")
    written = _file(here, file.name)
    assert (written["parameters"], written["infrastructure"]["type"]) == ({}, "process")


def test_inspect_shows_where_the_code_lies_and_when_it_runs(here: Terminal, name: str, tmp_path: Path) -> None:
    LocalFileSystem(basepath=str(tmp_path / "store")).save(name)
    Process(env={"A": "b"}).save(name)
    build = ["deployment", "build", "my_flow.py:my_flow", "-a", "-n"]
    here.ok(*build, name, "-sb", f"local-file-system/{name}/x", "-ib", f"process/{name}", "--concurrency-limit", "3")
    here.ok(*build, f"{name}-i", "-i", "docker-container", "--code", "image")
    here.ok(*build, f"{name}-b", "-i", "docker-container")
    here.ok("deployment", "run", f"my-flow/{name}", "--start-in", "2h")

    found = here.ok("deployment", "inspect", f"my-flow/{name}", "-o", "json").json
    assert found["code"] == f"local-file-system/{name}, x"
    assert (found["storage"]["block"], found["infrastructure"]["block"]) == (name, name)
    assert found["infrastructure"]["env"] == {"A": "b"}
    assert found["concurrency_limit"] == 3
    assert len(found["next_runs"]) == 1
    table = here.ok("deployment", "inspect", f"my-flow/{name}").out
    assert f"infrastructure\tprocess/{name}" in table
    assert "next runs\tin " in table
    image = here.ok("deployment", "inspect", f"my-flow/{name}-i", "-o", "json").json
    assert image["code"] == "/opt/penstock/flows in the image"
    bundled = here.ok("deployment", "inspect", f"my-flow/{name}-b", "-o", "json").json
    assert bundled["code"].startswith("bundle ")


#: As Prefect 2 writes it for saved blocks: fields, then ids of its own server.
WITH_SAVED_BLOCKS = """
name: {name}
description: Does nothing.
version: 36c175ede2c64ae6393e70ee58ca24da
work_queue_name: default
work_pool_name: null
tags: []
parameters: {{}}
schedule: null
schedules: []
is_schedule_active: null
infra_overrides: {{}}

###
### DO NOT EDIT BELOW THIS LINE
###
flow_name: my-flow
manifest_path: null
infrastructure:
  type: process
  env:
    Z: '1'
  labels: {{}}
  name: null
  command: null
  stream_output: true
  working_dir: null
  _block_document_id: 48274266-cc03-49b1-8889-5bc703b77247
  _block_document_name: {name}
  _is_anonymous: false
  block_type_slug: process
  _block_type_slug: process
storage:
  bucket_path: elsewhere
  aws_access_key_id: '**********'
  aws_secret_access_key: '**********'
  _block_document_id: fed525e7-2509-4050-866f-627e04f14796
  _block_document_name: {name}
  _is_anonymous: {anonymous}
  block_type_slug: s3
  _block_type_slug: s3
path: pfx
entrypoint: my_flow.py:my_flow
parameter_openapi_schema: {{title: Parameters, type: object, properties: {{}}, required: null, definitions: null}}
timestamp: '2026-11-22T13:10:56.288046+00:00'
triggers: []
enforce_parameter_schema: null
"""


def test_saved_blocks_of_a_prefect_2_file_are_found_here_by_their_names(
    here: Terminal, running: TestServer, places: Stores, name: str
) -> None:
    file = here.folder / "my_flow-deployment.yaml"
    file.write_text(WITH_SAVED_BLOCKS.format(name=name, anonymous="false"))
    missing = here("deployment", "apply", file.name)
    assert missing.code == 3
    assert f"{file.name}:29: " in missing.err
    Process(env={"Z": "2"}).save(name)
    storage = places.block("s3")
    storage.save(name)
    here.ok("deployment", "apply", file.name)
    with running.client() as client:
        record = client.send(deployments.read_deployment_by_name(f"my-flow/{name}"))
    assert record.storage_document_id == storage.block_id
    assert record.infrastructure_document_id == Process.load(name).block_id

    here.ok("deployment", "build", "my_flow.py:my_flow", "-n", name, "-t", "again", "--skip-upload", "--no-check")
    written = _file(here)
    assert (written["tags"], written["path"]) == (["again"], "pfx")
    assert written["infrastructure"]["env"] == {"Z": "2"}
    assert written["storage"]["_block_document_id"] == str(storage.block_id)


def test_a_masked_secret_of_a_block_that_is_not_here_is_refused(here: Terminal, name: str) -> None:
    Process().save(name)
    (here.folder / "old.yaml").write_text(WITH_SAVED_BLOCKS.format(name=name, anonymous="true"))
    refused = here("deployment", "apply", "old.yaml")
    assert refused.code == 2
    assert "old.yaml:35: storage.aws_access_key_id holds a masked secret" in refused.err
    assert "-sb TYPE/NAME" in refused.err


def test_a_bundle_is_made_anew_when_it_is_built_again(here: Terminal, name: str) -> None:
    build = ["deployment", "build", "my_flow.py:my_flow", "-n", name]
    said = here.ok(*build, "--code", "bundle").err
    first = _file(here)["storage"]
    assert f"Bundle {first['digest'][:19]}" in said
    (here.folder / "my_flow.py").write_text(ONE_FLOW + "\n")
    here.ok(*build)
    second = _file(here)["storage"]
    assert second["block_type_slug"] == "bundle"
    assert second["digest"] != first["digest"]
    here.ok(*build, "--code", "local")
    assert (_file(here)["storage"], _file(here)["path"]) == (None, str(here.folder))
