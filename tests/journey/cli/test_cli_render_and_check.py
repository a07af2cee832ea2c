"""`render` and `check`, of infrastructure and of deployments, against a real server."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_process import FLOWS, SameProcess, Terminal, known_agent
from pydantic import SecretStr

from penstock.blocks.credentials import DockerRegistry
from penstock.infrastructure import DockerContainer, KubernetesJob, Process
from penstock.infrastructure.registry import known_types
from penstock.testing import TestServer, wait_until

GUID = "00000000-0000-0000-0000-000000000000"
NEEDED = {
    "cloud-run-job": ["--override", "image=gcr.io/p/flows:1", "--override", "region=europe-west1"],
    "azure-container-instance-job": [
        "--override", "resource_group_name=g", "--override", f"subscription_id={GUID}",
    ],
}  # fmt: skip


@pytest.fixture
def here(running: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A folder with flows.py, and settings that point at the server, here and on the command line."""
    (tmp_path / "flows.py").write_text(FLOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(running.home))
    monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield SameProcess(running.env, tmp_path)
    sys.modules.pop("flows", None)


@pytest.mark.parametrize("slug", known_types())
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_request_of_every_type_is_printed_by_its_name_alone(here: Terminal, slug: str, form: str) -> None:
    done = here.ok("infra", "render", slug, *NEEDED.get(slug, []), "--override", "env.LEVEL=debug", "-o", form)
    request = yaml.safe_load(done.out)
    assert isinstance(request, dict)
    assert "LEVEL" in done.out
    assert GUID not in done.out or slug != "azure-container-instance-job" or f"subscription_id: {GUID}" not in done.out


def test_types_are_listed_with_what_this_version_can_run(here: Terminal) -> None:
    rows = here.ok("infrastructure", "ls", "-o", "json").json
    assert [row["slug"] for row in rows] == known_types()
    assert {row["slug"] for row in rows if row["runs"]} >= {"process"}
    assert all(row["runs"] or "no driver" in row["said"] for row in rows)


def test_a_saved_block_is_rendered_with_its_secrets_masked_and_its_address_known(
    here: Terminal, running: TestServer, name: str
) -> None:
    registry = DockerRegistry(username="u", password=SecretStr("hunter2"), registry_url="r.example.com")
    registry.save(name)
    DockerContainer(image="r.example.com/flows:1", image_registry=registry, env={"API_TOKEN": "hunter2"}).save(name)
    done = here.ok("infra", "render", f"docker-container/{name}")
    request = yaml.safe_load(done.out)
    assert "hunter2" not in done.out + done.err
    assert request["pull"]["login"]["username"] == "u"
    assert request["create"]["environment"]["API_TOKEN"] == "********"
    assert running.api_url.rpartition(":")[2] in request["create"]["environment"]["PENSTOCK_API_URL"]


def test_every_value_is_explained_by_the_place_that_it_came_from(here: Terminal, name: str) -> None:
    KubernetesJob(image="flows:1", env={"OF_BLOCK": "1", "BOTH": "1"}, namespace="dev").save(name)
    build = [
        "deployment",
        "build",
        "flows.py:hello",
        "-n",
        name,
        "-ib",
        f"kubernetes-job/{name}",
        "--path",
        "/srv",
        "-a",
    ]
    here.ok(*build, "--override", "env.BOTH=2", "--override", "job.spec.suspend=true")
    found = here.ok(
        "deployment", "render", f"hello/{name}", "--explain", "-jv", "labels.mine=yes", "-o", "json"
    ).json  # fmt: skip
    sources = {row["field"]: (row["value"], row["from"]) for row in found}
    deployment = f"infra_overrides of deployment hello/{name}"
    assert sources["env.OF_BLOCK"] == ("1", f"block kubernetes-job/{name}")
    assert sources["env.BOTH"] == ("2", deployment)
    assert sources["job.spec.suspend"] == (True, deployment)
    assert sources["job.spec.backoffLimit"] == (0, "default")
    assert sources["namespace"] == ("dev", f"block kubernetes-job/{name}")
    assert sources["labels.mine"] == ("yes", "--job-variable")
    assert sources["env.PENSTOCK_API_URL"][1] == "agent"
    assert sources["env.PENSTOCK__ATTEMPT_TOKEN"] == ("********", "run")


def test_a_file_is_rendered_as_the_deployment_that_it_becomes(here: Terminal, name: str) -> None:
    build = ["deployment", "build", "flows.py:hello", "-n", name, "-i", "docker-container", "--path", "/srv"]
    here.ok(*build, "--override", "env.A=1", "-o", "it.yaml")
    from_file = here.ok("deployment", "render", "it.yaml").out
    here.ok("deployment", "apply", "it.yaml")
    from_server = here.ok("deployment", "render", f"hello/{name}").out
    assert from_file == from_server
    assert here("deployment", "render", "gone.yaml").code == 2


def test_what_changed_since_a_launch_is_told(here: Terminal, running: TestServer, name: str) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-q", name, "--override", "env.A=1", "-a")
    with known_agent(running, "--work-queue", name):
        here.ok("deployment", "run", f"hello/{name}", "--watch", "--name", name)
    wait_until(lambda: here("flow-run", "inspect", name).code == 0, message="the run is there")
    same = here.ok("deployment", "render", f"hello/{name}", "--diff", name, "-o", "json")
    assert same.json == []
    changed = here.ok("deployment", "render", f"hello/{name}", "--diff", name, "-jv", "env.A=2", "-o", "json").json
    assert changed == [{"field": "env.A", "then": "1", "now": "2"}]


def test_a_deployment_whose_runs_would_work_passes_every_check(here: Terminal, running: TestServer, name: str) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-q", name, "--param", "times=2", "-o", "it.yaml")
    with known_agent(running, "--work-queue", name):
        assert "applying it" in here.ok("deployment", "check", "it.yaml").out
        here.ok("deployment", "apply", "it.yaml")
        rows = here.ok("deployment", "check", f"hello/{name}", "-o", "json").json
    said = {row["tried"]: row["said"] for row in rows}
    assert any("the flow 'hello' loaded" in text for text in said.values())
    assert any("the launcher of local processes" in tried for tried in said)
    assert f"an agent for the work queue '{name}'" in said


@pytest.mark.parametrize(
    ("options", "tried", "said"),
    [
        (["--param", "times=many"], "held against the flow", "'times'"),
        (["--param", "nmae=x"], "names of overrides and parameters", "'name'"),
        (["-jv", "working_dri=/x"], "configuration of process", "Did you mean 'working_dir'"),
        (["-jv", "working_dir=/no/such/folder"], "the working directory", "does not exist"),
        (["-jv", 'command=["no-such-program"]'], "the command no-such-program", "not found"),
        ([], "an agent for the work queue", "none that is online"),
    ],
)
def test_what_would_go_wrong_is_found_with_exit_code_7(
    here: Terminal, name: str, options: list[str], tried: str, said: str
) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-q", name, "-a")
    done = here("deployment", "check", f"hello/{name}", *options, "-o", "json")
    assert done.code == 7, done
    wrong = [row for row in done.json if not row["ok"]]
    assert any(tried in row["tried"] and said in row["said"] for row in wrong), wrong


def test_a_type_without_a_driver_is_checked_as_far_as_that_goes(here: Terminal) -> None:
    for slug in known_types():
        done = here("infra", "check", slug, *NEEDED.get(slug, []), "-o", "json")
        rows = done.json
        assert rows[0] == {
            "tried": f"the configuration of {slug}", "ok": True, "said": "every name and value fits the type", "fix": "",
        }  # fmt: skip
        assert done.code == (7 if any(not row["ok"] for row in rows) else 0)
        if any("no driver" in row["said"] for row in rows):
            assert done.code == 7


def test_an_address_that_only_means_this_machine_is_found_for_jobs_that_run_elsewhere(
    here: Terminal, name: str
) -> None:
    KubernetesJob(image="flows:1").save(name)
    rows = here("infra", "check", f"kubernetes-job/{name}", "-o", "json").json
    assert any("the job's own machine" in row["said"] for row in rows)
    Process().save(name)
    assert here.ok("infra", "check", f"process/{name}").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["infra", "render", "procces"], "Did you mean 'process'"),
        (["infra", "render", "process", "--override", "env"], "is no assignment"),
        (["infra", "render", "process", "--override", "evn.A=1"], "Did you mean 'env'"),
        (["infra", "render", "process", "--override", "env.A=1", "--override", "env.A=2"], "says 'env.A' twice"),
        (["infra", "render", "process", "--override", "env.A=1", "--override", 'env={"A": "2"}'], "to '1' already"),
        (["infra", "render", "kubernetes-job", "--override", "job.spec.backofLimit=0"], "Did you mean 'backoffLimit'"),
        (["infra", "render", "process/gone"], "There is no block"),
        (["infra", "render", "secret/x"], "There is no infrastructure type 'secret'"),
    ],
)
def test_a_slip_is_told_with_the_nearest_name(here: Terminal, arguments: list[str], said: str) -> None:
    done = here(*arguments)
    assert done.code in {2, 3}
    assert said in done.err


@pytest.mark.parametrize(
    ("variable", "said"),
    [("evn.A=1", "Did you mean 'env'"), ("stream_output=perhaps", "it has to be true or false, not 'perhaps'")],
)
def test_a_job_variable_that_would_be_refused_makes_no_run(here: Terminal, name: str, variable: str, said: str) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", name, "-a")
    done = here("deployment", "run", f"hello/{name}", "-jv", variable, "--name", name)
    assert (done.code, said in done.err, "--job-variable" in done.err) == (2, True, True), done
    assert here("flow-run", "inspect", name).code == 3


def _built(here: Terminal, name: str, *overrides: str, file: str = "it.yaml") -> Any:
    options = [part for text in overrides for part in ("--override", text)]
    here.ok(
        "deployment", "build", "flows.py:hello", "-n", name, "-i", "kubernetes-job", "--path", "/srv", "-o", file, *options
    )  # fmt: skip
    return here.ok("deployment", "render", file, "-o", "json").json


def test_the_three_ways_to_write_an_override_give_one_request(here: Terminal, name: str) -> None:
    dotted = _built(here, name, "env.A=1", "job.spec.activeDeadlineSeconds=60", "image_pull_policy=always")
    nested = _built(
        here, name, 'env={"A": 1}', 'job={"spec": {"activeDeadlineSeconds": 60}}', "image_pull_policy=Always"
    )
    written = yaml.safe_load((here.folder / "it.yaml").read_text())
    written["infra_overrides"] = {"env": {"A": 1}, "job": {"spec": {"activeDeadlineSeconds": 60}}, "image_pull_policy": "Always"}  # fmt: skip
    (here.folder / "other.yaml").write_text(yaml.safe_dump(written))
    assert dotted == nested == here.ok("deployment", "render", "other.yaml", "-o", "json").json
    assert dotted["job"]["spec"]["activeDeadlineSeconds"] == 60


@pytest.mark.parametrize("where", ["root", "subfolder", "parent", "elsewhere", "linked"])
def test_local_code_loads_from_wherever_it_is_built_or_the_build_says_that_it_will_not(
    running: TestServer, tmp_path: Path, where: str
) -> None:
    project = tmp_path / "my project"
    (project / "flows").mkdir(parents=True)
    (project / "flows" / "hi.py").write_text("import near\nfrom penstock import flow\n\n@flow\ndef hi():\n    pass\n")
    (project / "flows" / "near.py").write_text("")
    (project / "far.py").write_text("")
    (tmp_path / "link").symlink_to(project)
    folder, entrypoint = {
        "root": (project, "flows/hi.py:hi"),
        "subfolder": (project / "flows", "hi.py:hi"),
        "parent": (tmp_path, "my project/flows/hi.py:hi"),
        "elsewhere": (tmp_path_of(running), f"{project}/flows/hi.py:hi"),
        "linked": (tmp_path / "link", "./flows/hi.py:hi"),
    }[where]
    terminal = Terminal(running.env, folder)
    built = terminal("deployment", "build", entrypoint, "-n", f"built-{where}", "-o", str(tmp_path / "it.yaml"), "-a")
    if built.code:
        assert built.code == 7
        assert "Runs would not find their code" in built.err
        return
    checked = SameProcess(running.env, folder)("deployment", "check", f"hi/built-{where}", "-o", "json").json
    assert any("the flow 'hi' loaded" in row["said"] for row in checked), checked


def tmp_path_of(running: TestServer) -> Path:
    """A folder that has nothing to do with the project."""
    return running.home


def test_a_module_beside_the_builder_that_runs_would_not_have_fails_the_build(
    running: TestServer, tmp_path: Path
) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "only_here.py").write_text("")
    (tmp_path / "flows" / "hi.py").write_text(
        "import only_here\nfrom penstock import flow\n\n@flow\ndef hi():\n    pass\n"
    )
    env = {**running.env, "PYTHONPATH": "helpers"}
    done = Terminal(env, tmp_path)("deployment", "build", "flows/hi.py:hi", "-n", "helped", "-o", "it.yaml")
    assert done.code == 7, done
    assert "only_here" in done.err
    assert "hi.py, line 1" in done.err


@pytest.mark.parametrize("page", ["overrides", "rendering"])
def test_the_commands_of_the_page_work_as_they_are_written(here: Terminal, page: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / f"{page}.md").read_text()
    commands = [line.removeprefix("$ penstock ") for line in text.splitlines() if line.startswith("$ penstock ")]
    assert len(commands) >= 3
    for command in commands:
        here.ok(*shlex.split(command))


def test_the_example_of_the_page_in_python_tells_findings(here: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    here.ok("deployment", "build", "flows.py:hello", "-n", "seen")
    text = (Path(__file__).parents[3] / "docs" / "rendering.md").read_text()
    exec(text.split("```python\n")[1].split("```")[0], {})
    assert capsys.readouterr().out.startswith("True the code flows.py:hello")
