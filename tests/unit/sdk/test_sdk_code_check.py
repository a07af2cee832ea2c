"""Whether a deployment's code can be loaded is told before there is a run: in a fresh interpreter, as its jobs do it."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.infrastructure import DockerContainer, Process
from penstock.model.findings import Finding
from penstock.sdk.deployment_check import check_code
from penstock.sdk.deployments import Deployment
from penstock.storage.local import LocalFileSystem

FLOW = "from penstock import flow\n\n@flow\ndef hello():\n    raise SystemExit('nobody runs it')\n"


def _checked(**fields: Any) -> Finding:
    given = {"name": "n", "flow_name": "hello", "entrypoint": "flows.py:hello", **fields}
    (found,) = check_code(Deployment(**given))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOW)
    return folder


def test_code_that_is_there_loads_and_nothing_of_it_runs(project: Path) -> None:
    found = _checked(path=str(project))
    assert found.ok, found
    assert f"flows.py:hello in {project}" in found.tried
    assert found.said.startswith("the flow 'hello' loaded")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = _checked(path=str(tmp_path / "gone"))
    assert not found.ok
    assert str(tmp_path / "gone") in found.said
    assert "storage block" in found.fix


def test_a_file_that_is_not_there_is_named_with_the_nearest_one(project: Path) -> None:
    found = _checked(path=str(project), entrypoint="flow.py:hello")
    assert not found.ok
    assert "'flow.py'" in found.said
    assert "flows.py" in found.fix


def test_a_flow_that_is_not_there_is_named_with_the_nearest_one(project: Path) -> None:
    assert "Did you mean 'hello'" in _checked(path=str(project), entrypoint="flows.py:helo").said


def test_a_module_that_only_the_builders_interpreter_sees_is_named_with_its_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_alone.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    (project / "flows.py").write_text(f"import mine_alone\n{FLOW}")
    found = _checked(path=str(project))
    assert not found.ok
    assert "mine_alone" in found.said
    assert "flows.py, line 1" in found.said
    assert "mine_alone" in found.fix


def test_a_variable_of_the_infrastructure_is_there_when_the_code_is_imported(project: Path) -> None:
    (project / "flows.py").write_text(f"import os\nos.environ['OF_THE_BLOCK'], os.environ['OF_OVERRIDES']\n{FLOW}")
    fields: dict[str, Any] = {"path": str(project), "infrastructure": Process(env={"OF_THE_BLOCK": "1"})}
    assert "KeyError: 'OF_OVERRIDES'" in _checked(**fields).said
    assert _checked(**fields, infra_overrides={"env.OF_OVERRIDES": "1"}).ok


def test_a_variable_that_is_removed_or_empty_is_so_when_the_code_is_imported(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SHELL", "1")
    (project / "flows.py").write_text(
        "import os\nassert 'OF_THE_SHELL' not in os.environ and os.environ['EMPTY'] == ''\n"
        f"assert 'PENSTOCK__FLOW_RUN_ID' not in os.environ\n{FLOW}"
    )
    found = _checked(path=str(project), infrastructure=Process(env={"OF_THE_SHELL": None, "EMPTY": ""}))
    assert found.ok, found


def test_the_variables_of_a_container_are_there_when_its_code_is_imported_on_this_machine(project: Path) -> None:
    (project / "flows.py").write_text(f"import os\nos.environ['OF_THE_BLOCK']\n{FLOW}")
    block = DockerContainer(image="flows:1", env={"OF_THE_BLOCK": "1"}, volumes=[f"{project}:{project}"])
    found = _checked(storage=LocalFileSystem(basepath=str(project)), infrastructure=block)
    assert found.ok, found


def test_code_that_kills_its_interpreter_is_a_finding_with_what_it_said_last(project: Path) -> None:
    (project / "flows.py").write_text("import os, sys\nprint('no way', file=sys.stderr, flush=True)\nos._exit(9)\n")
    found = _checked(path=str(project))
    assert (found.ok, "exit code 9" in found.said, "no way" in found.said) == (False, True, True)


def test_what_the_code_prints_is_no_answer(project: Path) -> None:
    (project / "flows.py").write_text(f'print(\'{{"error": "fooled"}}\')\n{FLOW}')
    assert _checked(path=str(project)).ok


def test_code_that_does_not_end_its_import_is_a_finding(project: Path) -> None:
    (project / "flows.py").write_text("import time\ntime.sleep(60)\n")
    deployment = Deployment(name="n", flow_name="hello", entrypoint="flows.py:hello", path=str(project))
    (found,) = check_code(deployment, patience=1.5)
    assert (found.ok, "not loaded after 1.5 seconds" in found.said) == (False, True)


def test_a_flow_of_another_name_is_a_finding(project: Path) -> None:
    found = _checked(path=str(project), flow_name="goodbye")
    assert "is called 'hello', and the deployment runs 'goodbye'" in found.said


def test_the_command_of_a_process_says_which_interpreter_loads_the_code(project: Path) -> None:
    other = Process(command=["env", "IN_FRONT=1", sys.executable, "-m", "penstock.engine"])
    (project / "flows.py").write_text(f"import os\nos.environ['IN_FRONT']\n{FLOW}")
    found = _checked(path=str(project), infrastructure=other)
    assert found.ok, found
    assert "IN_FRONT=1" in found.tried
    gone = _checked(path=str(project), infrastructure=Process(command=["/no/python", "-m", "penstock.engine"]))
    assert "/no/python" in gone.said


def test_code_of_a_storage_is_fetched_into_a_folder_that_is_gone_afterwards(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    found = _checked(storage=LocalFileSystem(basepath=str(project)))
    assert found.ok, found
    assert "from local-file-system" in found.tried
    assert not [*scratch.iterdir()]


def test_code_in_an_image_is_told_to_be_checked_by_nothing_but_a_run(project: Path) -> None:
    found = _checked(path="/opt/penstock/flows", infrastructure=DockerContainer(image="flows:1"))
    assert found.ok
    assert "flows:1" in found.tried
    assert "only a run of the image" in found.said


def test_what_only_the_agents_machine_knows_is_named_and_does_not_fail_the_check(project: Path) -> None:
    found = _checked(path=str(project), infrastructure=Process(env={"A": "${env:NO_SUCH_VARIABLE_AT_ALL}"}))
    assert found.ok
    assert "NO_SUCH_VARIABLE_AT_ALL" in found.said
    assert _checked(path=str(project), infrastructure=Process(working_dir="${env:NO_SUCH_VARIABLE_AT_ALL}")).ok


def test_parameters_are_held_against_the_flow_that_was_found(project: Path) -> None:
    (project / "flows.py").write_text(
        "from penstock import flow\n\n@flow\ndef hello(a: int, b: int = 1, *, c: list[str]):\n    pass\n"
    )
    deployment = Deployment(name="n", flow_name="hello", entrypoint="flows.py:hello", path=str(project))
    for given, said in (({"b": "2", "c": ["x"]}, None), ({"b": "many"}, "'b'"), ({"bb": 1}, "'b'"), ({"c": 1}, "'c'")):
        findings = check_code(deployment, parameters=given)
        assert findings[0].ok
        assert [finding.ok for finding in findings[1:]] == ([] if said is None else [False])
        assert said is None or said in findings[1].said


def test_the_working_directory_of_the_process_holds_the_code_where_nothing_else_says_where_it_lies(
    project: Path, tmp_path: Path
) -> None:
    assert _checked(infrastructure=Process(working_dir=str(project))).ok
    assert not _checked(infrastructure=Process(working_dir=str(tmp_path))).ok
    assert "gone" in _checked(infrastructure=Process(working_dir=str(tmp_path / "gone"))).said
    assert os.getcwd() != str(project)
