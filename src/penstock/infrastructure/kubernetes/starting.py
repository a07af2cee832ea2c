"""Starting a Job: made once however often it is asked for, and nothing left where it is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from penstock import clock
from penstock.errors import InfrastructureError, JobRejected, NotReachable, StillPreparing
from penstock.infrastructure.kubernetes import reasons
from penstock.infrastructure.kubernetes.calls import Namespace
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.infrastructure.kubernetes.objects import attempt_of, owner_of
from penstock.model.reasons import Phase, Reason

#: Seconds in which a request is sent again whose answer was lost, and the pause before it.
_AGAIN_SECONDS, _PAUSE = 10.0, 0.3
#: Seconds that a pod that never ran has to be gone.
_GONE_SECONDS = 10.0
Object = dict[str, Any]
_T = TypeVar("_T")


async def start(namespace: Namespace, job: Object, secret: Object) -> Object:
    """The Job as it is in the cluster, made now or before. Raises JobRejected, NotReachable, StillPreparing.

    The Job comes first: the Secret then belongs to it from its birth on, so none is ever left behind. Its pod waits for
    the Secret, should it be quicker.
    """
    made, found = await _made(namespace, job)
    try:
        await _until_answered(lambda: namespace.hand_over_secret(secret, found))
    except Refusal as error:
        if made:
            await _withdraw(namespace, found["metadata"]["name"])
        raise _rejected(namespace, error, "the Secret with its token") from None
    return found


async def _made(namespace: Namespace, job: Object) -> tuple[bool, Object]:
    """Whether the Job was made now, and the Job."""
    name = job["metadata"]["name"]
    try:
        return True, await _until_answered(lambda: namespace.create_job(job))
    except Refusal as error:
        if error.status != 409:
            raise _rejected(namespace, error, "the Job") from None
    found = await _until_answered(lambda: namespace.job(name))
    if found is None:
        raise NotReachable(f"Job {name} was there, and is gone again.")
    if _identity(found) != _identity(job):
        whose = owner_of(found) or "nobody that Penstock knows"
        raise JobRejected(
            f"The name {name} is taken in namespace {namespace.name} by a Job of {whose}.",
            reason=Reason.CONFIGURATION_INVALID,
        )
    return False, found


async def _withdraw(namespace: Namespace, name: str) -> None:
    """Remove a Job whose Secret is refused, and its pod: that would take the Secret of the next Job of the name."""
    await _until_answered(lambda: namespace.delete_job(name))
    deadline = clock.monotonic() + _GONE_SECONDS
    with suppress(NotReachable, Refusal):
        while clock.monotonic() < deadline:
            pods = await namespace.pods_of(name)
            if not pods:
                return
            for pod in pods:
                # no node starts what is being deleted; without the right, the garbage collector comes round to it
                if "deletionTimestamp" not in pod["metadata"]:
                    with suppress(Refusal):
                        await namespace.delete_pod(pod["metadata"]["name"], 1)
            await asyncio.sleep(_PAUSE)


async def _until_answered(call: Callable[[], Awaitable[_T]]) -> _T:
    """What `call` gives. It may be made twice: an answer can be lost on its way."""
    deadline = clock.monotonic() + _AGAIN_SECONDS
    while True:
        try:
            return await call()
        except NotReachable:
            if clock.monotonic() + _PAUSE > deadline:
                raise
            await asyncio.sleep(_PAUSE)


def _identity(job: Object) -> tuple[str, UUID | None]:
    return owner_of(job), attempt_of(job)


def _rejected(namespace: Namespace, error: Refusal, what: str) -> InfrastructureError:
    reason = reasons.of_refusal(error.status, error.message)
    if reason is Reason.NO_CAPACITY:
        # other jobs end: a full quota of Jobs is waited for as one of pods is
        return StillPreparing(f"room in the namespace's quota ({error.message})", phase=Phase.SCHEDULE)
    return JobRejected(
        f"Kubernetes does not take {what}: {error.message}",
        reason=reason,
        hint=reasons.hint_of_refusal(error.status, error.message, namespace.name),
    )
