"""A slip in what is said of a Kubernetes Job is refused wherever it can be written, with the place and what is right, and
nothing is half done: at `deployment build`, at `deployment apply` of an edited file, and where a block is saved."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_process import FLOWS, SameProcess, Terminal

from penstock.testing import TestServer

POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"


def _patch(path: str, value: Any = None, op: str = "add", **members: str) -> dict[str, Any]:
    given = {} if value is None else {"value": value}
    return {"customizations": [{"op": op, "path": path, **given, **members}]}


#: What is said, and what the message has to name.
SLIPS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a wrong pointer": (_patch("/spec/templates/spec/hostNetwork", True), ("customizations[0]", "Did you mean 'template'")),
    "no such operation": (_patch("/spec/suspend", True, "insert"), ("there is no operation 'insert'",)),
    "nothing to copy from": (_patch("/spec/suspend", op="copy"), ("'copy' needs 'from'",)),
    "a copy of what is not there": (_patch("/spec/suspend", op="copy", **{"from": f"{CONTAINER}/imgae"}), ("Did you mean 'image'",)),
    "an index beyond": (_patch(f"{POD}/containers/4/image", "x:1"), ("a list of 1, which has no item '4'",)),
    "the Job's own name": (_patch("/metadata/name", "mine"), ("customizations[0]", "by which the Job is found again")),
    "all variables replaced": (_patch(f"{CONTAINER}/env", [{"name": "A", "value": "1"}]), ("/spec/template/spec/containers/0/env/-",)),
    "another container first": (_patch(CONTAINER, {"name": "proxy", "image": "x:1"}), ("has to be the first",)),
    "two pods": (_patch("/spec/parallelism", 2), ("parallelism is 2",)),
    "started again": (_patch(f"{POD}/restartPolicy", "Always"), ("restartPolicy is 'Always'", "'Never'")),
    "a negative time": (_patch("/spec/ttlSecondsAfterFinished", -5), ("spec.ttlSecondsAfterFinished is -5",)),
    "a long label": (_patch("/metadata/labels/team", "x" * 80), ("metadata.labels: team is", "63")),
    "a variable twice": ({"env": {"A": "1"}, **_patch(f"{CONTAINER}/env/-", {"name": "A", "value": "2"})}, ("'A' is set twice",)),
    "a resource misspelt": ({"resources": {"limits": {"memroy": "2Gi"}}}, ("resources.limits", "Did you mean 'memory'")),
    "a resource misspelt in a patch": (_patch(f"{CONTAINER}/resources", {"limits": {"memroy": "2Gi"}}), ("Did you mean 'memory'",)),
    "no such operator": ({"tolerations": [{"key": "a", "operator": "Exist"}]}, ("tolerations", "Did you mean 'Exists'")),
    "affinity misspelt": ({"affinity": {"podAntiAfinity": {}}}, ("affinity", "Did you mean 'podAntiAffinity'")),
    "a text for a number": ({"security_context": {"runAsUser": "root"}}, ("runAsUser is 'root'", "a whole number")),
}  # fmt: skip


@pytest.fixture
def here(running: TestServer, tmp_path: Path) -> Terminal:
    (tmp_path / "flows.py").write_text(FLOWS)
    return SameProcess(running.env, tmp_path)


def _says(done: Any, words: tuple[str, ...], what: str) -> None:
    assert done.code == 2, (what, done)
    assert [word for word in words if word not in done.err] == [], (what, done.err)


def test_a_slip_in_an_override_builds_nothing(here: Terminal) -> None:
    for what, (said, words) in SLIPS.items():
        overrides = [part for name, value in said.items() for part in ("--override", f"{name}={json.dumps(value)}")]
        build = ("deployment", "build", "flows.py:hello", "-n", "slip", "-i", "kubernetes-job", "-a")
        _says(here(*build, *overrides), words, what)
        assert not (here.folder / "hello-deployment.yaml").exists()
    assert "hello/slip" not in here.ok("deployment", "ls", "-o", "name").out


def test_a_slip_in_an_edited_file_changes_nothing(here: Terminal) -> None:
    build = ("deployment", "build", "flows.py:hello", "-n", "edited", "--override", "namespace=dev")
    here.ok(*build, "-i", "kubernetes-job", "--no-check", "-a")
    file = here.folder / "hello-deployment.yaml"
    good = yaml.safe_load(file.read_text())
    before = here.ok("deployment", "inspect", "hello/edited", "-o", "json").json
    for what, (said, words) in SLIPS.items():
        file.write_text(yaml.safe_dump({**good, "infra_overrides": {"namespace": "prod", **said}, "tags": ["new"]}))
        _says(here("deployment", "apply", file.name), words, f"{what}, in infra_overrides")
        file.write_text(yaml.safe_dump({**good, "infrastructure": {**good["infrastructure"], **said}, "tags": ["new"]}))
        _says(here("deployment", "apply", file.name), words, f"{what}, in infrastructure")
    assert here.ok("deployment", "inspect", "hello/edited", "-o", "json").json == before


def test_a_slip_in_a_block_saves_none(here: Terminal) -> None:
    for what, (said, words) in SLIPS.items():
        (here.folder / "block.yaml").write_text(yaml.safe_dump(said))
        _says(here("block", "create", "kubernetes-job", "--name", "slip", "-f", "block.yaml"), words, what)
    assert "kubernetes-job/slip" not in here.ok("block", "ls", "-o", "name").out
