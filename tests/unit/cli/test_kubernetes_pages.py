"""The pages about Kubernetes: their examples run, their tables are those of the code."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cli_said import Said

from penstock.infrastructure import KubernetesJob
from penstock.infrastructure.kubernetes.permissions import PERMISSIONS

ROOT = Path(__file__).parents[3]
CONCEPT, RIGHTS, FOLDERS = (
    (ROOT / path).read_text()
    for path in ("docs/infrastructure-kubernetes.md", "docs/kubernetes-rbac.md", "deploy/kustomize/README.md")
)
PROGRAMS = re.findall(r"```python\n(.*?)```", CONCEPT, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ penstock ").partition(" | ")[0]
    for page in (CONCEPT, RIGHTS, FOLDERS)
    for line in page.splitlines()
    # what is saved needs a server
    if line.startswith("$ penstock ") and "kubernetes-job/" not in line
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_examples_make_blocks(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    monkeypatch.setattr(KubernetesJob, "save", lambda _block, name: saved.append(name))
    exec(compile(program, "example", "exec"), {})
    assert len(saved) == program.count(".save(")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_print_manifests(command: str, penstock: Callable[..., Said]) -> None:
    said = penstock(*shlex.split(command))
    assert said.code == 0, said.err
    assert list(yaml.safe_load_all(said.out))


def test_overrides_in_the_text_can_be_made(penstock: Callable[..., Said]) -> None:
    (text,) = re.findall(r"`(--override customizations=.*?)`", CONCEPT)
    said = penstock("infrastructure", "render", "kubernetes-job", *shlex.split(text))
    assert said.code == 0, said.err
    assert "hostNetwork: true" in said.out


def test_the_table_of_rights_is_the_one_that_roles_are_made_of() -> None:
    rows = [line for line in RIGHTS.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{each.resource}`{f' of `{each.group}`' if each.group else ''} | {', '.join(each.verbs)} | {each.why} | "
        f"{'' if each.needed else 'optional'} |"
        for each in PERMISSIONS
    ]


def test_every_field_of_the_block_is_in_the_table_of_fields() -> None:
    table = CONCEPT.partition("## Fields and where they go")[2].partition("## Customizations")[0]
    named = {*re.findall(r"`([a-z_]+)`", table)}
    of_prefect_2 = {"job_watch_timeout_seconds", "pod_watch_timeout_seconds"}
    assert {*KubernetesJob.model_fields} - of_prefect_2 - {"type", "stream_output", "cluster_config"} <= named


def test_the_overlays_that_the_page_names_are_there() -> None:
    named = {*re.findall(r"`overlays/([a-z-]+)`", FOLDERS)}
    assert named == {path.name for path in (ROOT / "deploy" / "kustomize" / "overlays").iterdir()}
