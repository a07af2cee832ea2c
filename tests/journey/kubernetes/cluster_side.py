"""What a cluster knows of the runs of one server: their Jobs, pods and Secrets, and what is left when they are over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes_cluster import BUSYBOX, Cluster

from penstock.agent.platforms import owner_of
from penstock.model.flow_runs import FlowRun
from penstock.testing import wait_until

_RUN_LABEL = "penstock.io/flow-run-id"
_OWNER_LABEL = "penstock.io/owner"


@dataclass(frozen=True)
class ClusterSide:
    """A namespace as the runs of the server at `api_url` see it."""

    cluster: Cluster
    namespace: str
    api_url: str

    def objects(self, run: FlowRun | None = None) -> list[dict[str, Any]]:
        """All Jobs, pods and Secrets of that server's runs, or of one run, whatever their state."""
        label = f"{_OWNER_LABEL}={owner_of(self.api_url)}" if run is None else f"{_RUN_LABEL}={run.id}"
        found = self.cluster.get("jobs,pods,secrets", "-n", self.namespace, "-l", label)
        items: list[dict[str, Any]] = found["items"]
        return items

    def of_kind(self, kind: str, run: FlowRun) -> list[dict[str, Any]]:
        return [one for one in self.objects(run) if one["kind"] == kind]

    def kinds(self, run: FlowRun | None = None) -> list[str]:
        """What is left, as words."""
        return sorted(one["kind"] for one in self.objects(run))

    def alive(self, run: FlowRun) -> list[str]:
        """The run's pods in which something runs, or may."""
        return [one["metadata"]["name"] for one in self.of_kind("Pod", run) if _is_alive(one)]

    def pod(self, run: FlowRun) -> dict[str, Any]:
        """The run's pod, which runs."""

        def running() -> dict[str, Any] | None:
            pods = [one for one in self.of_kind("Pod", run) if one["status"].get("phase") == "Running"]
            return pods[0] if pods else None

        return wait_until(running, 240, f"{run.name} has a pod that runs")

    def delete_pod(self, pod: dict[str, Any], *options: str) -> None:
        self.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "-n", self.namespace, "--wait=false", *options)

    def run_pod(self, name: str, command: str, resources: dict[str, Any], **spec: Any) -> None:
        """A pod that is no run's."""
        container = {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", command], "resources": resources}
        pod = {"restartPolicy": "Never", "containers": [container], **spec}
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
        self.cluster.kubectl("create", "-n", self.namespace, "-f", "-", stdin=json.dumps(manifest))

    @contextmanager
    def priority(self, name: str) -> Iterator[None]:
        """A priority of that name, above what pods have by themselves."""
        manifest = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
        named = {**manifest, "metadata": {"name": name}}
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(named))
        try:
            wait_until(lambda: self._is_let_in(name), 240, "the API server has heard of the priority")
            yield
        finally:
            self.cluster.kubectl("delete", "priorityclass", name, "--wait=false")

    def _is_let_in(self, priority: str) -> bool:
        """Whether a pod of that priority would be."""
        container = {"name": "main", "image": BUSYBOX}
        spec = {"priorityClassName": priority, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
        try:
            self.cluster.kubectl("create", "--dry-run=server", "-n", self.namespace, "-f", "-", stdin=json.dumps(pod))
        except RuntimeError as error:
            if "no PriorityClass" not in str(error):
                raise
            return False
        return True

    @contextmanager
    def scarce(self, resource: str) -> Iterator[str]:
        """A resource of which the node has one: who waits for it disturbs nobody else on the cluster."""
        self._set_on_node(resource, "1")
        try:
            yield resource
        finally:
            self._set_on_node(resource, None)

    def _set_on_node(self, resource: str, amount: str | None) -> None:
        wait_until(lambda: self._is_set_on_node(resource, amount), 240, f"the node has {amount} of {resource}")

    def _is_set_on_node(self, resource: str, amount: str | None) -> bool:
        """False where somebody else has written the node meanwhile: its kubelet, or a test beside this one."""
        (node,) = self.cluster.get("nodes")["items"]
        path = f"/api/v1/nodes/{node['metadata']['name']}/status"
        for each in ("capacity", "allocatable"):
            node["status"][each].pop(resource, None)
            if amount is not None:
                node["status"][each][resource] = amount
        try:
            self.cluster.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(node))
        except RuntimeError as error:
            if "the object has been modified" not in str(error):
                raise
            return False
        return True

    def inside(self, pod: dict[str, Any], *command: str) -> str:
        """What a command prints in the pod's container."""
        return self.cluster.kubectl("exec", pod["metadata"]["name"], "-n", self.namespace, "--", *command)

    def wait_until_gone(self, run: FlowRun, timeout: float = 300) -> None:
        """Return when the cluster has nothing of the run any more. An old one takes its time to forget a pod."""
        wait_until(lambda: not self.objects(run), timeout, f"nothing of {run.name} is left")

    def everything_said(self, run: FlowRun) -> str:
        """All that the cluster tells of a run to whoever may read no Secrets: objects, events, the pods' output."""
        names = [one["metadata"]["name"] for one in self.of_kind("Pod", run)]
        logs = [self.cluster.kubectl("logs", name, "-n", self.namespace) for name in names]
        shown = [one for one in self.objects(run) if one["kind"] != "Secret"]
        return json.dumps(shown) + self.cluster.kubectl("get", "events", "-n", self.namespace, "-o", "json") + str(logs)

    def remove_all(self) -> None:
        """Remove what a test has left, whatever it does."""
        label = f"{_OWNER_LABEL}={owner_of(self.api_url)}"
        self.cluster.kubectl("delete", "jobs,pods,secrets", "-n", self.namespace, "-l", label, "--wait=false")


def _is_alive(pod: dict[str, Any]) -> bool:
    if pod["status"].get("phase") in ("Succeeded", "Failed"):
        return False
    states = [container["state"] for container in pod["status"].get("containerStatuses", ())]
    if "deletionTimestamp" in pod["metadata"]:  # what has not started by then is not started any more
        return any("running" in state for state in states)
    return not states or any("terminated" not in state for state in states)


@contextmanager
def cluster_side(cluster: Cluster, api_url: str) -> Iterator[ClusterSide]:
    """A namespace of its own for that server's runs; what they have left in it goes with it."""
    with cluster.namespace() as namespace:
        found = ClusterSide(cluster, namespace, api_url)
        try:
            yield found
        finally:
            found.remove_all()
