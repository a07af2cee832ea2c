"""The driver of Kubernetes Jobs: a Job and its Secret per run, one picture of them per namespace, and the way to stop
one without losing how it ended.

What it keeps in memory only makes it quick: the Job, its annotations and its pods say everything to another agent.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from penstock import clock
from penstock.errors import InfrastructureError, JobNotFound, NotReachable, PenstockError
from penstock.infrastructure.base import Finding, Found, Handle, Output
from penstock.infrastructure.kubernetes import checks, objects, observation, output, starting, verdicts
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.config import DEFAULT_NAMESPACE, KubernetesJob
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.infrastructure.kubernetes.observation import Evidence, Judgement
from penstock.infrastructure.kubernetes.pictures import Pictures
from penstock.infrastructure.kubernetes.places import Places, answered, connection_in
from penstock.infrastructure.kubernetes.stopping import Stop
from penstock.infrastructure.kubernetes.tails import Tails
from penstock.model.attempts import Exit, Observation
from penstock.model.reasons import Reason

_log = logging.getLogger("penstock.infrastructure.kubernetes")

#: Seconds that a pod which waits for what it will not get is left alone: what it wants may just be on its way.
HOPELESS_SECONDS = 15.0
#: Seconds that sidecars may go on after the run's own container has ended.
LINGER_SECONDS = 60.0
#: Seconds after a pod was lost in which the Job may say that this is its own end, and not somebody else's doing.
_SETTLE_SECONDS = 1.5
#: Seconds after a pod was deleted in which the cluster may say why: before 1.26 an event does, which comes later.
_TOLD_SECONDS = 3.0
#: Seconds that a container gets to end by itself where the driver stops its job on its own.
POLITE_SECONDS = 30.0
#: Seconds until a stop of the driver's own that failed is tried again.
_AGAIN_SECONDS = 3.0
#: Seconds between two looks at the log of a job that prints nothing: first and most.
_QUIET_FIRST, _QUIET_MOST = 0.1, 5.0
#: Seconds without a word after which a log counts as read.
_LOG_SECONDS = 15.0


def create() -> "KubernetesDriver":
    """The driver of all clusters that blocks name, and of the one that this process' surroundings name."""
    return KubernetesDriver(os.environ)


class KubernetesDriver:
    """Jobs of any number of clusters and namespaces. To be used within one event loop, and closed there.

    `namespace` is where jobs are looked for as long as nobody has said where they are.
    """

    type: ClassVar[str] = verdicts.TYPE

    def __init__(self, environ: Mapping[str, str], namespace: str = DEFAULT_NAMESPACE) -> None:
        self._news = asyncio.Event()
        self._places = Places(environ, namespace)
        self._pictures = Pictures(self._places, self._news.set)
        self._tails = Tails()
        #: what the driver does on its own: stops of jobs that must not go on, by name
        self._ending: dict[str, asyncio.Task[None]] = {}
        #: how many stops of a job are under way, by its name
        self._stopping: Counter[str] = Counter()
        #: since when a job must not go on, by its name
        self._since: dict[str, float] = {}
        #: logs that had nothing new: the offset, when to look again, and the pause until then
        self._quiet: dict[str, tuple[int, float, float]] = {}

    async def reach(self, config: KubernetesJob | None) -> str:
        """``kubernetes:CLUSTER/NAMESPACE``. Raises NotReachable, ConfigurationError."""
        return await self._places.reach(config)

    async def prepare(self) -> None:
        """See the contract: there is nothing to make ready."""

    async def check(self, config: KubernetesJob) -> list[Finding]:
        """Tries the credentials, the API, what the agent may do, what the pod names, and the Job itself, as a dry run."""
        try:
            cluster, connection = await self._places.cluster_of(connection_in(config))
        except PenstockError as error:
            return [Finding("the way to the cluster", False, error.message, error.hint or "")]
        return await checks.check(Namespace(connection, self._places.namespace_of(config), cluster), config)

    async def start(self, request: Any) -> Handle:
        """See the contract. `request` is that of `render`."""
        cluster, connection = await self._places.cluster_of(request.get("connection"))
        namespace = Namespace(connection, request["namespace"], cluster)
        self._places.add(cluster, namespace.name)
        job = await starting.start(namespace, request["job"], revealed(request["secret"]))
        self._pictures.mirror(namespace, objects.owner_of(job)).jobs.put(job)
        return observation.handle_of(job, cluster)

    async def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """See the contract."""
        found = await self._pictures.look(handles)
        for handle, judgement in zip(handles, found, strict=True):
            self._act_on(handle, judgement)
        return [judgement.observation for judgement in found]

    async def wait_for_news(self, timeout: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout)
        self._news.clear()

    async def output(self, handle: Handle, since: int = 0) -> Output:
        """See the contract; offsets are those of `output`. Raises JobNotFound, NotReachable."""
        name, now = handle.data["name"], clock.monotonic()
        offset, due, pause = self._quiet.get(name, (-1, 0.0, _QUIET_FIRST))
        # once it has ended, an empty piece would be taken for the end of its output
        if offset == since and now < due and await self._may_still_print(handle):
            return Output("", since)
        piece, ended = await self._read(handle, since)
        if piece.text or ended:
            self._quiet.pop(name, None)
        else:
            pause = min(pause * 1.5, _QUIET_MOST) if offset == since else _QUIET_FIRST
            self._quiet[name] = (since, now + pause, pause)
        return piece

    async def stop(self, handle: Handle, grace: float) -> None:
        """See the contract. Raises NotReachable if a node does not confirm that the pod is gone."""
        await self._stop(handle, grace, None)

    async def remove(self, handle: Handle) -> None:
        """See the contract. Raises InfrastructureError for a job that has not ended."""
        namespace, name = await self._places.of(handle), handle.data["name"]
        job, pods = await answered(namespace.job(name)), await answered(namespace.pods_of(name))
        if job is not None:
            gone = self._pictures.mirror(namespace, handle.data["owner"]).gone_of(name)
            found = observation.judge(Evidence(job, pods, gone), clock.now()).observation
            if found.status != "ENDED":
                raise InfrastructureError(f"Job {name} has not ended.", hint="Stop it before removing it.")
            if (ending := self._ending.get(name)) is not None:
                ending.cancel()
            await answered(namespace.delete_job(name))
        self._pictures.mirror(namespace, handle.data["owner"]).forget(name)
        self._tails.forget(name)
        self._quiet.pop(name, None)
        self._since.pop(name, None)

    async def find(self, owner: str) -> list[Found]:
        """See the contract: the jobs of `owner` in the places that were reached. Raises NotReachable if none answers."""
        found: list[Found] = []
        errors: list[NotReachable] = []
        places = await self._places.known()
        for namespace in places:
            try:
                found += await self._find(namespace, owner)
            except NotReachable as error:
                errors.append(error)
        if len(errors) == len(places):
            raise errors[0]
        return found

    async def find_job(self, job_name: str) -> Handle | None:
        """See the contract. Raises NotReachable if a place does not answer, and no other has the job."""
        silent: NotReachable | None = None
        for namespace in await self._places.known():
            try:
                job = await answered(namespace.job(job_name))
            except NotReachable as error:
                silent = error
                continue
            if job is not None and objects.owner_of(job):
                return observation.handle_of(job, namespace.cluster)
        if silent is not None:
            raise silent
        return None

    def keeps(self, handle: Handle) -> bool | None:
        """True where Kubernetes removes the Job itself, after its `finished_job_ttl`."""
        found: bool | None = handle.data["keep"]
        return found

    def pid(self, handle: Handle) -> str:
        """As Prefect 2 writes it: the cluster, the namespace, the Job."""
        return f"{handle.data['cluster']}:{handle.data['namespace']}:{handle.data['name']}"

    async def close(self) -> None:
        """Hang up. Jobs go on."""
        for task in self._ending.values():
            task.cancel()
        await asyncio.gather(*self._ending.values(), return_exceptions=True)
        await self._places.close()
        await self._tails.close()
        await self._pictures.close()

    # stopping

    def _act_on(self, handle: Handle, judgement: Judgement) -> None:
        """Stop what must not go on, once that has been so for long enough; its verdict is written down first."""
        name, seen = handle.data["name"], judgement.observation
        if judgement.lingers:
            self._end_after(LINGER_SECONDS, handle, POLITE_SECONDS, seen.exit)
        elif judgement.doomed is None:
            self._since.pop(name, None)
        elif clock.monotonic() - self._since.setdefault(name, clock.monotonic()) >= _patience(judgement):
            self._end_after(0, handle, 0.0 if seen.status == "PENDING" else POLITE_SECONDS, judgement.doomed)

    def _end_after(self, seconds: float, handle: Handle, grace: float, end: Exit | None) -> None:
        """Stop the job in a while, though nobody may ask for it any more, unless it is being stopped already."""
        name = handle.data["name"]
        if name not in self._ending and not self._stopping[name]:
            self._ending[name] = task = asyncio.create_task(self._end(seconds, handle, grace, end))
            task.add_done_callback(lambda _: self._ending.pop(name, None))

    async def _end(self, seconds: float, handle: Handle, grace: float, end: Exit | None) -> None:
        await asyncio.sleep(seconds)
        name = handle.data["name"]
        _log.warning("Job %s is stopped: %s", name, end.message if end else "it has ended")
        try:
            await self._stop(handle, grace, end)
        except InfrastructureError as error:
            _log.warning("Job %s cannot be stopped yet: %s", name, error)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _stop(self, handle: Handle, grace: float, end: Exit | None) -> None:
        namespace, name = await self._places.of(handle), handle.data["name"]

        async def leaving(pod: dict[str, Any], container: str) -> None:
            if objects.has_started(pod, container):
                await self._tails.follow(name, namespace.connection, namespace.log_of(pod), container)

        mirror = self._pictures.mirror(namespace, handle.data["owner"])
        self._stopping.update({name})
        try:
            job = await answered(Stop(namespace, name, grace, leaving, mirror.gone_of(name)).run(end))
        finally:
            self._stopping.subtract({name})
            if not self._stopping[name]:
                del self._stopping[name]
            await self._tails.complete(name)
        mirror.see_pods(name, await answered(namespace.pods_of(name)))
        if job is not None:
            mirror.jobs.put(job)
        else:
            mirror.forget(name)

    # reading

    async def _may_still_print(self, handle: Handle) -> bool:
        mirror, name = await self._pictures.recent(handle), handle.data["name"]
        job, pods = mirror.job(name), mirror.pods_of(name)
        container = objects.flow_container(job) if job is not None else ""
        return job is not None and (not pods or any(objects.is_live(pod, container) for pod in pods))

    async def _read(self, handle: Handle, since: int) -> tuple[Output, bool]:
        """The next piece of the job's output, and whether there can be no more than what is there now."""
        name = handle.data["name"]
        namespace, mirror = await self._places.of(handle), await self._pictures.recent(handle)
        job = mirror.job(name) or await answered(namespace.job(name))
        pods = mirror.pods_of(name) or await answered(namespace.pods_of(name))
        kept = self._tails.read(name, since)
        if job is None and kept is None:
            raise JobNotFound(f"There is no Job {name} in namespace {namespace.name}.")
        container = objects.flow_container(job) if job is not None else ""
        pod = objects.with_log(pods, container)
        if pod is None:
            return kept or Output("", since), kept is not None
        ended = not objects.is_live(pod, container)
        query = {"container": container, **output.query_since(since)}
        try:
            async with namespace.connection.stream(namespace.log_of(pod), query, _LOG_SECONDS) as lines:
                piece = await output.read(lines, since, ended)
        except Refusal as error:
            if error.status not in {400, 404}:  # it has no log yet, or none any more
                raise NotReachable(f"The log of Job {name} cannot be read: {error.message}") from None
            piece = Output("", since)
        # a pod may outlive its log by some seconds
        return (piece if piece.text else kept or piece), ended

    async def _find(self, namespace: Namespace, owner: str) -> list[Found]:
        jobs = await answered(namespace.jobs_of(owner))
        pods = await answered(namespace.pods(f"{objects.OWNER}={owner}")) if jobs else []
        found = []
        for job in jobs:
            name = job["metadata"]["name"]
            own = [pod for pod in pods if objects.job_of(pod) == name]
            judgement = observation.judge(Evidence(job, own), clock.now())
            seen, handle = judgement.observation, observation.handle_of(job, namespace.cluster)
            if judgement.lingers:
                self._act_on(handle, judgement)  # nobody observes a job any more that has ended
            ended_at = seen.exit.observed_at if seen.exit is not None else None
            attempt = objects.attempt_of(job)
            found.append(Found(handle, name, attempt, seen.status == "ENDED", ended_at, self.keeps(handle)))
        return found


def _patience(doomed: Judgement) -> float:
    """Seconds for which what dooms a job may still turn out otherwise, or be told better."""
    if doomed.observation.status == "PENDING":
        return HOPELESS_SECONDS
    return _TOLD_SECONDS if doomed.doomed and doomed.doomed.reason is Reason.DELETED else _SETTLE_SECONDS


def revealed(value: Any) -> Any:
    """`value` with its secrets in clear, as the API server gets them."""
    if isinstance(value, Mapping):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revealed(item) for item in value]
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value
