"""Jobs for tests of the driver, and a way to the cluster that can be broken."""

import asyncio
import base64
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import kubernetes_cluster
import yaml

from penstock import clock
from penstock.infrastructure.base import Finding, Handle, Job
from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes.config import DEFAULT_NAMESPACE
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.render import render
from penstock.infrastructure.names import job_name
from penstock.infrastructure.variables import ATTEMPT_ID, ATTEMPT_TOKEN, FLOW_RUN_ID
from penstock.model.attempts import Observation
from penstock.testing import FaultProxy, wait_until

#: Seconds within which a test's cluster is expected to do anything, however busy its machine is.
PATIENCE = 240.0
#: A command that exits with code 3 as soon as it is let go.
HELD = ("sh", "-c", "until [ -e /go ]; do sleep 0.1; done; exit 3")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Way:
    """A kubeconfig that leads to the cluster through `proxy`."""

    kubeconfig: Path
    proxy: FaultProxy


@contextmanager
def way(cluster: kubernetes_cluster.Cluster, folder: Path) -> Iterator[Way]:
    """The proxy speaks TLS to the API server, as the kubeconfig's user, and is spoken to in clear."""
    known = yaml.safe_load(cluster.kubeconfig.read_text())
    there, user = known["clusters"][0]["cluster"], known["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(there["certificate-authority-data"]).decode())
    pem = folder / "client.pem"
    pem.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
    tls.load_cert_chain(pem)
    with FaultProxy(there["server"], tls=tls) as proxy:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "proxied",
                    "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "nobody"}}],
                    "clusters": [{"name": "proxied", "cluster": {"server": proxy.url}}],
                    "users": [{"name": "nobody", "user": {}}],
                }
            )
        )
        yield Way(kubeconfig, proxy)


def a_job(*command: str, owner: str | None = None) -> Job:
    """A job as an agent makes one."""
    attempt_id, flow_run_id = uuid4(), uuid4()
    return Job(
        name=job_name("test", attempt_id),
        title="test",
        attempt_id=attempt_id,
        flow_run_id=flow_run_id,
        owner=owner or uuid4().hex[:16],
        command=command,
        env={ATTEMPT_ID: str(attempt_id), FLOW_RUN_ID: str(flow_run_id)},
        secret_env={ATTEMPT_TOKEN: "a-token"},
    )


def request(namespace: str, job: Job, **settings: Any) -> Any:
    """The request that runs `job`, labelled as its owner's."""
    labels = {"penstock.io/owner": job.owner, "penstock.io/attempt-id": str(job.attempt_id)}
    config = KubernetesJob(
        **{
            "image": kubernetes_cluster.BUSYBOX,
            "namespace": namespace,
            "labels": labels,
            "grace_seconds": 2,
            **settings,
        }
    )
    return render(config, job)


def let_go(cluster: kubernetes_cluster.Cluster, namespace: str, handle: Handle) -> None:
    """Let a job end that runs `HELD`."""
    cluster.kubectl("-n", namespace, "exec", f"job/{handle.data['name']}", "--", "touch", "/go")


def a_token(cluster: kubernetes_cluster.Cluster, namespace: str, allowed: list[dict[str, Any]]) -> str:
    """The token of a new service account that may do what the rules allow."""
    cluster.kubectl("-n", namespace, "create", "serviceaccount", "agent")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent", "namespace": namespace},
        "rules": allowed,
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(role))
    who = f"--serviceaccount={namespace}:agent"
    cluster.kubectl("-n", namespace, "create", "rolebinding", "agent", "--role=agent", who)
    account = f"system:serviceaccount:{namespace}:agent"
    wanted = (allowed[0]["verbs"][0], allowed[0]["resources"][0], allowed[0]["apiGroups"][0])
    wait_until(lambda: may(cluster, account, *wanted, namespace), PATIENCE, "the API server has heard of the role")
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/agent/token"
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    answer = json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", stdin=review))
    return str(answer["status"]["token"])


def may(cluster: kubernetes_cluster.Cluster, user: str, verb: str, resource: str, group: str, namespace: str) -> bool:
    """Whether the API server would let a user do that."""
    kind, _, part = resource.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "resourceAttributes": {
                "verb": verb, "resource": kind, "subresource": part, "group": group, "namespace": namespace,
            },
        },
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])


def as_user(cluster: kubernetes_cluster.Cluster, folder: Path, user: dict[str, Any]) -> Path:
    """A kubeconfig of the cluster for somebody else."""
    known = yaml.safe_load(cluster.kubeconfig.read_text())
    known["users"][0]["user"] = user
    kubeconfig = folder / "user.kubeconfig"
    kubeconfig.write_text(json.dumps(known))
    return kubeconfig


def ask(
    kubeconfig: Path | None,
    namespace: str,
    question: Callable[[KubernetesDriver], Awaitable[None]],
    environ: Mapping[str, str] | None = None,
) -> None:
    """Put a question to a new driver. `environ`: what leads it to its cluster where that is no kubeconfig."""

    async def put() -> None:
        driver = KubernetesDriver(
            {**({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}), **(environ or {})}, namespace
        )
        try:
            await question(driver)
        finally:
            await driver.close()

    asyncio.run(put())


def findings(kubeconfig: Path, config: KubernetesJob) -> list[Finding]:
    """What a new driver finds when it checks a block."""
    found: list[Finding] = []

    async def question(driver: KubernetesDriver) -> None:
        found.extend(await driver.check(config))

    ask(kubeconfig, DEFAULT_NAMESPACE, question)
    return found


async def comes_true(is_it: Callable[[], Awaitable[_T | None]], what: str) -> _T:
    """The first thing that is true of what `is_it` gives, which is asked again and again. `what` is said if none comes."""
    deadline = clock.monotonic() + PATIENCE
    while not (found := await is_it()):
        assert clock.monotonic() < deadline, f"it does not come to that: {what}"
        await asyncio.sleep(0.1)
    return found


async def until(driver: KubernetesDriver, handle: Handle, is_it: str | Callable[[Observation], bool]) -> Observation:
    """The first observation that has that status, or is like that."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        seen = (await driver.observe([handle]))[0]
        if seen.status == is_it or (callable(is_it) and is_it(seen)):
            return seen
        assert seen.status != "MISSING", seen
        assert clock.monotonic() < deadline, f"it does not come to that: {seen!r}"
        await driver.wait_for_news(0.2)
