"""Stopping a Job so that its verdict and the last of its output survive.

A deleted Job takes its pods' exit codes with it, and a pod that is deleted alone is replaced by Kubernetes before
1.22, whatever the Job's backoffLimit. So the Job is told to want no pod (`parallelism: 0`), which holds in every
version; its pods are ended with the grace that was asked for; and how they ended is written down on the Job.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from penstock import clock
from penstock.errors import NotReachable
from penstock.infrastructure.kubernetes import objects, verdicts
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.model.attempts import Exit

#: Seconds that the cluster may take, beyond the grace, until it confirms that a pod is gone.
CONFIRM_SECONDS = 60.0
#: Seconds between two looks, and between the two that it takes where no pod was ever seen.
_LOOK_SECONDS, _AGAIN_SECONDS = 0.25, 1.0
Object = dict[str, Any]


class Stop:
    """One stop of one Job. `leaving` is awaited with each pod before it is ended: its output can be read until then.

    `gone`: pods of the Job that were deleted before, as they were last seen.
    """

    def __init__(
        self,
        namespace: Namespace,
        name: str,
        grace: float,
        leaving: Callable[[Object, str], Awaitable[None]],
        gone: Sequence[Object] = (),
    ) -> None:
        self._namespace, self._name, self._grace, self._leaving = namespace, name, grace, leaving
        self._gone = gone
        # 0 would make the API server forget the pod while it still runs
        self._seconds = max(math.ceil(grace), 1)
        #: each pod as it was last seen
        self._seen: dict[str, Object] = {}
        #: the seconds within which each pod was asked to end
        self._asked: dict[str, int] = {}
        #: the pods that are known to be about to end
        self._left: set[str] = set()

    async def run(self, end: Exit | None = None) -> Object | None:
        """Returns the Job as it is then, when nothing of it runs any more; None if there is no Job.

        `end`: what is written down as its end, if no other is. Raises NotReachable, Refusal.
        """
        job = await self._namespace.job(self._name)
        self._look_at(await self._namespace.pods_of(self._name))
        if job is not None and self._is_over(job):
            return job
        container = self._flow_container(job)
        half_done = job is not None and objects.is_stopping(job)
        if job is not None:
            # whoever was first knows why: an end that is written down, or a stop that is to be its reason, stays
            first = verdicts.end_of(job) is None and not half_done
            # the Job ends its pods as soon as it hears that it is to have none
            await asyncio.gather(*(self._let_leave(pod, container) for pod in self._seen.values()))
            job = await self._halt(container, end if first else None) or job
        await self._until_gone(container)
        if job is None or verdicts.end_of(job) is not None:
            return job
        found = verdicts.judge_stopped(job, self._known(), clock.now(), half_done)
        return await self._namespace.mark_end(self._name, found)

    def _is_over(self, job: Object) -> bool:
        active = any(objects.is_active(pod) for pod in self._seen.values())
        told = objects.finished(job) is not None or verdicts.end_of(job) is not None
        return not active and (told or bool(self._seen))

    def _flow_container(self, job: Object | None) -> str:
        if job is not None:
            return objects.flow_container(job)
        pod = next(iter(self._seen.values()), None)
        return str(pod["spec"]["containers"][0]["name"]) if pod is not None else ""

    async def _halt(self, container: str, end: Exit | None) -> Object | None:
        """Let the Job want no pods. It ends those that it has in the grace of their manifest, and a kubelet before 1.22
        does not hear of a shorter one afterwards: where less is wanted, pods that a kubelet has are asked at the same
        time. A Job controller before 1.22 that hears of this first makes one more pod, which it takes away again.
        """
        halting = asyncio.create_task(self._namespace.halt_job(self._name, end))
        await asyncio.sleep(0)  # it is on its way first
        placed = [pod for pod in self._seen.values() if objects.is_active(pod) and objects.has_node(pod)]
        hasty = [pod for pod in placed if self._seconds < int(pod["spec"].get("terminationGracePeriodSeconds", 30))]
        try:
            await asyncio.gather(*(self._ask_to_end(pod, container, self._seconds) for pod in hasty))
        finally:
            job = await halting
        return job

    async def _until_gone(self, container: str) -> None:
        began = clock.monotonic()
        looks = 0
        while True:
            pods = await self._namespace.pods_of(self._name)
            self._look_at(pods)
            active = self._awaited(pods, container)
            looks += 1
            if not active and (self._seen or looks > 1) and not await self._may_make_another():
                return
            waited = clock.monotonic() - began
            if waited > self._grace + CONFIRM_SECONDS:
                raise NotReachable(_unconfirmed(active))
            seconds = self._seconds if waited < self._grace else 1
            for pod in active:
                # without a node, nothing is gained by being quicker than the Job controller
                if objects.has_node(pod) or waited > _AGAIN_SECONDS:
                    await self._ask_to_end(pod, container, seconds)
            # a Job that is asked for no pods at once may still make the one that it was about to make
            await asyncio.sleep(_LOOK_SECONDS if active else _AGAIN_SECONDS)

    def _awaited(self, pods: Sequence[Object], container: str) -> list[Object]:
        """The pods that something may run in. One that came after the run's own and was deleted never starts it."""
        active = [pod for pod in pods if objects.is_active(pod)]
        if objects.first_started(self._known(), container) is None:
            return active
        return [pod for pod in active if not objects.is_going(pod, container)]

    async def _may_make_another(self) -> bool:
        job = await self._namespace.job(self._name)
        return job is not None and objects.may_make_another(job, clock.now())

    def _known(self) -> list[Object]:
        return [*self._gone, *self._seen.values()]

    async def _ask_to_end(self, pod: Object, container: str, seconds: int) -> None:
        uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        if self._asked.get(uid, seconds + 1) <= seconds:
            return
        self._asked[uid] = seconds
        await self._let_leave(pod, container)
        try:
            await self._namespace.delete_pod(name, seconds)
        except Refusal as error:
            # the Job controller ends its pods itself, in the grace of their manifest: without the right, that is all
            if error.status != 403:
                raise

    async def _let_leave(self, pod: Object, container: str) -> None:
        if objects.is_active(pod) and objects.uid_of(pod) not in self._left:
            self._left.add(objects.uid_of(pod))
            await self._leaving(pod, container)

    def _look_at(self, pods: Sequence[Object]) -> None:
        self._seen.update((pod["metadata"]["uid"], pod) for pod in pods)


def _unconfirmed(active: Sequence[Object]) -> str:
    if not active:
        return "Kubernetes does not confirm that the Job makes no more pods."
    pod = active[0]
    node = (pod.get("spec") or {}).get("nodeName") or "no node"
    return f"Pod {pod['metadata']['name']} is not confirmed gone: its node ({node}) does not answer."
