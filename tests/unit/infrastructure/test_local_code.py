"""Code in a folder of one machine: jobs that see nothing of it are refused with the way out, before they start."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from penstock.errors import ConfigurationError, Unsupported
from penstock.infrastructure import DockerContainer, Infrastructure, KubernetesJob, Process
from penstock.infrastructure.local_code import refuse_local_code
from penstock.infrastructure.sample import NO_ID
from penstock.model.attempts import Attempt, AttemptStatus, Claim, InfrastructureDocument
from penstock.model.deployments import Deployment as Record
from penstock.model.flow_runs import FlowRun
from penstock.model.flows import Flow
from penstock.sdk.deployment_code import refuse_out_of_reach
from penstock.sdk.deployments import Deployment
from penstock.storage.local import LocalFileSystem

CONTAINER = DockerContainer(image="flows:1")


def _claim(storage: InfrastructureDocument | None, path: str | None) -> Claim:
    document_id = UUID(int=1) if storage is not None else None
    return Claim(
        flow_run=FlowRun(id=NO_ID, name="owl", flow_id=NO_ID),
        flow=Flow(id=NO_ID, name="f"),
        deployment=Record(id=NO_ID, name="n", flow_id=NO_ID, path=path, storage_document_id=document_id),
        attempt=Attempt(id=NO_ID, flow_run_id=NO_ID, number=1, status=AttemptStatus.CLAIMED),
        token="t",
        storage=storage,
    )


def _folder(basepath: str | None, name: str | None = None) -> InfrastructureDocument:
    return InfrastructureDocument(slug="local-file-system", name=name, data={"basepath": basepath} if basepath else {})


@pytest.mark.parametrize(
    ("infrastructure", "storage", "path", "said"),
    [
        (CONTAINER, _folder("/srv/flows", "mine"), None, "local-file-system/mine is the folder /srv/flows"),
        (CONTAINER, _folder(None), "/srv/flows", "local-file-system is the folder /srv/flows"),
        (KubernetesJob(image="flows:1"), _folder("/srv/flows"), None, "a kubernetes-job sees nothing"),
        (DockerContainer(image="flows:1", volumes=["/srv:/data"]), _folder("/data2"), None, "folder /data2"),
        (DockerContainer(image="flows:1", working_dir="/srv"), _folder("/srv"), None, "folder /srv"),
        (DockerContainer(image="flows:1", tmpfs=["/srv"]), _folder("/srv"), None, "folder /srv"),
        (CONTAINER, None, "~/flows", "the folder ~/flows of a machine"),
        (CONTAINER, None, r"C:\flows", "of a machine"),
    ],
)
def test_a_run_whose_code_no_container_sees_is_refused_with_the_way_out(
    infrastructure: Infrastructure, storage: InfrastructureDocument | None, path: str | None, said: str
) -> None:
    with pytest.raises(Unsupported) as refused:
        refuse_local_code(_claim(storage, path), infrastructure)
    assert said in refused.value.message
    assert "--code bundle" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("infrastructure", "storage", "path"),
    [
        (Process(), _folder("/srv/flows"), None),
        (CONTAINER, InfrastructureDocument(slug="s3"), "flows"),
        (CONTAINER, None, "/opt/penstock/flows"),
        (CONTAINER, None, "flows"),
        (CONTAINER, None, None),
        (CONTAINER, _folder("${env:FLOWS}"), None),
        (DockerContainer(image="flows:1", volumes=["/srv:/data"]), _folder("/data/team"), None),
        (DockerContainer(image="flows:1", mounts=["type=volume,source=v,target=/data"]), _folder("/data/team"), None),
    ],
)
def test_code_that_may_be_seen_is_let_through(
    infrastructure: Infrastructure, storage: InfrastructureDocument | None, path: str | None
) -> None:
    refuse_local_code(_claim(storage, path), infrastructure)


@pytest.mark.parametrize("storage", [True, False])
def test_a_deployment_with_a_folder_of_this_machine_is_refused_before_the_server_hears_of_it(
    tmp_path: Path, storage: bool
) -> None:
    where: dict[str, Any] = {"storage": LocalFileSystem(basepath=str(tmp_path))} if storage else {"path": str(tmp_path)}
    deployment = Deployment(name="n", flow_name="f", infrastructure=CONTAINER, **where)
    with pytest.raises(ConfigurationError, match="sees nothing of any machine") as refused:
        refuse_out_of_reach(deployment)
    assert (refused.value.code, str(tmp_path) in refused.value.message) == ("code_out_of_reach", True)
    with pytest.raises(ConfigurationError, match="sees nothing of any machine"):
        deployment.apply()
    deployment.infra_overrides = {"volumes": [f"{tmp_path}:{tmp_path}"]}
    refuse_out_of_reach(deployment)


def test_a_path_of_the_image_needs_no_storage() -> None:
    refuse_out_of_reach(Deployment(name="n", flow_name="f", infrastructure=CONTAINER, path="/opt/penstock/flows"))
