"""Figures about containers: what a run costs over the bare container that it runs in."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock
from uuid import UUID

from bench import peer as peers
from bench.figures import wait_all
from bench.measure import Figure, environment, percentile
from penstock import testing
from penstock.client import deployments, flow_runs, flows, get_sync_client
from penstock.model.deployments import DeploymentCreate
from penstock.model.flow_runs import DeploymentFlowRunCreate
from penstock.model.flows import FlowCreate

_FLOW = """\
from penstock import flow


@flow
def trivial():
    pass
"""


def containers(peer: peers.Peer | None, *, image: str | None = None, samples: int = 12, **_: Any) -> Iterator[Figure]:
    """`image`: one with Penstock in it; by default the project's own of this version."""
    from penstock.infrastructure.images import default_image

    name = image or default_image()
    bare, runs = [], []
    with tempfile.TemporaryDirectory() as folder, testing.server() as server, testing.agent(server, "-q", "default"):
        deployment = _deploy(server, Path(folder), name)
        for number in range(samples + 2):
            alone, run = _bare(name), _run(server, deployment)
            if number >= 2:  # the first ones warm the caches
                bare.append(alone)
                runs.append(run)
    over = median(runs) - median(bare)
    yield Figure("docker run IMAGE python -c pass: wall, p50", median(bare), "s")
    yield Figure("run in a container, asked for -> Completed: p50", median(runs), "s")
    yield Figure("run in a container, asked for -> Completed: p95", percentile(runs, 0.95), "s")
    yield Figure(
        "a run in a container over the bare container",
        over,
        "s",
        "<= 0.5",
        over <= 0.5,
        median(runs) / median(bare),
        "docker run",
    )


def _bare(image: str) -> float:
    """Seconds of a container that does nothing, removed afterwards."""
    began = time.perf_counter()
    command = ["docker", "run", "--network", "host", "--entrypoint", "python", "--cidfile"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "id")
        subprocess.run([*command, str(file), image, "-c", "pass"], env=environment(), check=True)
        took = time.perf_counter() - began
        remove = ["docker", "rm", "--volumes", file.read_text()]
    subprocess.run(remove, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return took


def _deploy(server: testing.TestServer, folder: Path, image: str) -> UUID:
    """The trivial flow in containers of `image`; its code travels as a bundle, as it does by default."""
    from penstock.infrastructure import DockerContainer
    from penstock.storage.bundle import pack_project, send

    (folder / "project").mkdir()
    (folder / "project" / "trivial.py").write_text(_FLOW)
    home = {"PENSTOCK_HOME": str(folder / "home"), "PENSTOCK_API_URL": server.api_url}
    with mock.patch.dict("os.environ", home), server.client() as client:
        packed = pack_project(folder / "project").bundle
        send(client, packed, folder / "project")
        made = DeploymentCreate(
            name="bench",
            flow_id=client.send(flows.create_flow(FlowCreate(name="trivial"))).id,
            entrypoint="trivial.py:trivial",
            work_queue_name="default",
            storage_document_id=packed.save("code"),
            infrastructure_document_id=DockerContainer(image=image, image_pull_policy="NEVER").save("containers"),
        )
        return client.send(deployments.create_deployment(made)).id


def _run(server: testing.TestServer, deployment: UUID) -> float:
    """Seconds from asking for a run until it is Completed."""
    with get_sync_client(server.api_url) as client:
        began = time.time()
        asked = DeploymentFlowRunCreate()
        run = client.send(flow_runs.create_flow_run_from_deployment(deployment, asked)).id
        wait_all(client, [run])
        ended = client.send(flow_runs.read_flow_run(run)).end_time
    assert ended is not None
    return ended.timestamp() - began


FIGURES = {"containers": containers}
