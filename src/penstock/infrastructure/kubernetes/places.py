"""The clusters and namespaces that a driver has met, and the way to each."""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from penstock import clock
from penstock.errors import ConfigurationError, NotReachable
from penstock.infrastructure.base import Handle
from penstock.infrastructure.kubernetes import manifest, reasons
from penstock.infrastructure.kubernetes.access import Access, access_of
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.config import DEFAULT_NAMESPACE, KubernetesJob
from penstock.infrastructure.kubernetes.connection import Connection, Refusal

#: Seconds that a cluster which has just answered is taken to do so still.
_REACHED_SECONDS = 30.0
_T = TypeVar("_T")


class Places:
    """To be used within one event loop, and closed there."""

    def __init__(self, environ: Mapping[str, str], namespace: str = DEFAULT_NAMESPACE) -> None:
        self._environ = environ
        #: where jobs are looked for as long as nobody has said where they are
        self._default_namespace = namespace
        self._connections: dict[Access, Connection] = {}
        self._clusters: dict[str, Connection] = {}
        self._places: set[tuple[str, str]] = set()
        self._answered_at: dict[str, float] = {}

    async def reach(self, config: KubernetesJob | None) -> str:
        """``kubernetes:CLUSTER/NAMESPACE``. Raises NotReachable, ConfigurationError."""
        cluster, connection = await self.cluster_of(connection_in(config))
        if clock.monotonic() - self._answered_at.get(cluster, -_REACHED_SECONDS) >= _REACHED_SECONDS:
            await answered(connection.request("GET", "/version"))
            self.has_answered(cluster)
        namespace = self.namespace_of(config)
        self.add(cluster, namespace)
        return f"kubernetes:{cluster}/{namespace}"

    async def cluster_of(self, block: Mapping[str, Any] | None) -> tuple[str, Connection]:
        """The cluster that a block's `cluster_config` names, else the one that the surroundings do.

        Raises NotReachable if its credentials cannot be loaded, ConfigurationError if there are none.
        """
        access = access_of(block, self._environ)
        connection = self._connections.setdefault(access, Connection(access))
        cluster = await connection.id()
        return cluster, self._clusters.setdefault(cluster, connection)

    def namespace_of(self, config: KubernetesJob | None) -> str:
        if config is None:
            return self._default_namespace
        return config.namespace or manifest.namespace_of(config.job) or DEFAULT_NAMESPACE

    def add(self, cluster: str, namespace: str) -> None:
        """From now on, jobs are looked for there."""
        self._places.add((cluster, namespace))

    def has_answered(self, cluster: str) -> None:
        self._answered_at[cluster] = clock.monotonic()

    def is_silent(self, cluster: str) -> None:
        """The next `reach` asks it, however short ago it answered."""
        self._answered_at.pop(cluster, None)

    async def known(self) -> list[Namespace]:
        """The namespaces in which jobs are looked for."""
        if not self._places:
            cluster, _ = await self.cluster_of(None)
            self.add(cluster, self._default_namespace)
        return [Namespace(self._clusters[cluster], name, cluster) for cluster, name in sorted(self._places)]

    async def of(self, handle: Handle) -> Namespace:
        """Where that job is. Raises NotReachable if nobody has said how to get there."""
        cluster, namespace = handle.data["cluster"], handle.data["namespace"]
        if cluster not in self._clusters:
            with suppress(ConfigurationError):  # perhaps it is the one that this process' surroundings name
                await self.cluster_of(None)
        if cluster not in self._clusters:
            raise NotReachable(
                f"Job {handle.data['name']} runs on the Kubernetes cluster {cluster}, to which this agent knows no way.",
                hint="If only the API's address has changed, set PENSTOCK_KUBERNETES_CLUSTER_ID to the old id.",
            )
        return Namespace(self._clusters[cluster], namespace, cluster)

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()


def connection_in(config: KubernetesJob | None) -> Mapping[str, Any] | None:
    """The cluster that the block names, if it does."""
    block = config.cluster_config if config is not None else None
    return block.model_dump() if block is not None else None


async def answered(call: Awaitable[_T]) -> _T:
    """What `call` gives. A refusal says nothing of the job: it cannot be seen or changed from here, so NotReachable."""
    try:
        return await call
    except Refusal as error:
        raise NotReachable(
            f"Kubernetes refuses: {error.message}",
            reason=reasons.of_refusal(error.status, error.message),
            hint="penstock infrastructure check shows what the agent may not do.",
        ) from None
