"""Where a deployment's code lies, by what was said and by what runs it; what could not be found there is refused at once."""

from pathlib import Path
from typing import Any

import pytest

from penstock.errors import CodeError, ConfigurationError, PenstockError
from penstock.filesystems import S3, LocalFileSystem
from penstock.infrastructure import DockerContainer, KubernetesJob, Process
from penstock.sdk import deployment_code
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.storage.bundle import Bundle

IMAGED = (DockerContainer, KubernetesJob)
OLD = Bundle(digest="sha256:" + "0" * 64, size=1, files=1)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a flow."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flow.py").write_text("a = 1\n")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    return folder


def placed(infrastructure: Any, code: str | None = None, kept: Any = None, **said: Any) -> DeploymentFields:
    """A deployment of which `said` was said, and `kept` is the storage that it had before."""
    fields = {"name": "n", "entrypoint": "flow.py:main", **said}
    deployment = DeploymentFields(infrastructure=infrastructure, **({"storage": kept} if kept else {}), **fields)
    deployment_code.place(deployment, set(said), code)
    return deployment


def way(deployment: DeploymentFields) -> tuple[str | None, str | None]:
    return deployment.storage.get_block_type_slug() if deployment.storage else None, deployment.path


def test_a_local_process_runs_the_code_where_it_lies(project: Path) -> None:
    assert way(placed(Process())) == (None, str(project))
    assert way(placed(Process(), "local")) == (None, str(project))
    assert way(placed(Process(), path="/srv/flows")) == (None, "/srv/flows")


@pytest.mark.parametrize("kind", IMAGED)
def test_infrastructure_with_an_image_gets_a_bundle(kind: Any) -> None:
    assert way(placed(kind())) == ("bundle", None)


def test_a_local_process_gets_a_bundle_when_asked() -> None:
    assert way(placed(Process(), "bundle")) == ("bundle", None)


@pytest.mark.parametrize("kind", IMAGED)
def test_code_in_the_image_lies_in_its_usual_folder_or_in_the_one_that_is_said(kind: Any) -> None:
    assert way(placed(kind(), "image")) == (None, "/opt/penstock/flows")
    assert way(placed(kind(), "image", path="/app")) == (None, "/app")
    assert way(placed(kind(), path="/app")) == (None, "/app")


@pytest.mark.parametrize("infrastructure", [Process(), DockerContainer(), KubernetesJob()])
def test_a_storage_block_that_is_named_wins(infrastructure: Any) -> None:
    assert way(placed(infrastructure, storage=S3(bucket_path="code"), path="nightly")) == ("s3", "nightly")
    assert placed(infrastructure, storage=OLD).storage == OLD


def test_what_an_earlier_build_has_chosen_is_kept_and_a_bundle_is_made_anew() -> None:
    assert way(placed(Process(), kept=S3(bucket_path="code"))) == ("s3", None)
    again = placed(Process(), kept=OLD)
    assert way(again) == ("bundle", None)
    assert again.storage != OLD


@pytest.mark.parametrize("kept", [OLD, S3(bucket_path="code")])
def test_what_is_said_now_wins_over_what_an_earlier_build_has_chosen(kept: Any, project: Path) -> None:
    assert way(placed(Process(), "local", kept=kept)) == (None, str(project))
    assert way(placed(DockerContainer(), "image", kept=kept)) == (None, "/opt/penstock/flows")


REFUSED: dict[str, tuple[Any, str | None, dict[str, Any], str]] = {
    "an unknown word": (Process(), "bundel", {}, "Did you mean 'bundle'"),
    "local code and an image": (DockerContainer(), "local", {}, "sees nothing of this machine"),
    "a local folder and an image": (
        KubernetesJob(),
        None,
        {"storage": LocalFileSystem(basepath="/data")},
        "sees nothing of any",
    ),
    "an image where there is none": (Process(), "image", {}, "has no image"),
    "code and a storage": (Process(), "bundle", {"storage": S3(bucket_path="code")}, "and so does code='bundle'"),
    "a path of a bundle": (Process(), "bundle", {"path": "sub"}, "made of the current folder"),
    "a flow that is not in the bundle": (Process(), "bundle", {"entrypoint": "flwo.py:main"}, "Did you mean 'flow.py'"),
    "a flow outside of the folder": (Process(), "bundle", {"entrypoint": "/srv/flow.py:main"}, "does not lie in"),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_runs_could_not_find_is_refused_with_the_way_out(wrong: str) -> None:
    infrastructure, code, said, words = REFUSED[wrong]
    with pytest.raises(PenstockError, match=words.replace("(", r"\(")) as refused:
        placed(infrastructure, code, **said)
    assert isinstance(refused.value, ConfigurationError | CodeError)
    assert refused.value.hint or "Did you mean" in words


MOUNTED = [
    DockerContainer(volumes=["/mnt/flows:/data"]),
    DockerContainer(volumes=["/mnt/flows:/data/team:ro"]),
    KubernetesJob(
        customizations=[
            {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "flows", "emptyDir": {}}},
            {
                "op": "add",
                "path": "/spec/template/spec/containers/0/volumeMounts/-",
                "value": {"name": "flows", "mountPath": "/data"},
            },
        ]
    ),
]


@pytest.mark.parametrize("infrastructure", MOUNTED)
def test_a_folder_that_is_mounted_is_within_reach(infrastructure: Any) -> None:
    storage = LocalFileSystem(basepath="/data/team")
    assert way(placed(infrastructure, storage=storage)) == ("local-file-system", None)
    assert way(placed(infrastructure, "local", path="/data/team/flows")) == (None, "/data/team/flows")
    with pytest.raises(ConfigurationError):
        placed(infrastructure, storage=LocalFileSystem(basepath="/database"))


def test_a_bundle_of_a_module_needs_no_file_for_it_may_be_installed() -> None:
    assert way(placed(Process(), "bundle", entrypoint="package.flows:main")) == ("bundle", None)
