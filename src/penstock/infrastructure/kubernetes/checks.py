"""What can be tried of a KubernetesJob block before anything runs: each thing, what the cluster says, what to do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from penstock import settings
from penstock.client.sync import get_sync_client
from penstock.errors import NotReachable, PenstockError
from penstock.infrastructure import containers
from penstock.infrastructure.base import Finding
from penstock.infrastructure.kubernetes import reasons
from penstock.infrastructure.kubernetes.calls import Namespace, Object
from penstock.infrastructure.kubernetes.config import KubernetesJob
from penstock.infrastructure.kubernetes.connection import Refusal
from penstock.infrastructure.kubernetes.named_objects import check_named
from penstock.infrastructure.kubernetes.permissions import PERMISSIONS
from penstock.infrastructure.kubernetes.probing import probe
from penstock.infrastructure.kubernetes.render import render
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.variables import API_URL

_ROLE = "penstock kubernetes manifest agent prints a Role that allows it."


async def check(namespace: Namespace, config: KubernetesJob) -> list[Finding]:
    """All that can be tried in `namespace`. Raises nothing: what failed is a finding."""
    api_url = str(
        config.env.get(API_URL)
        or settings.get("PENSTOCK_API_URL")
        or await asyncio.to_thread(lambda: get_sync_client().api_url)
    )
    tried = f"the Kubernetes API, as {namespace.connection.access.describe()} names it"
    try:
        version = await namespace.connection.request("GET", "/version")
    except (NotReachable, Refusal) as error:
        hint = error.hint if isinstance(error, NotReachable) else None
        fix = hint or "Correct the kubeconfig, or the way to the cluster."
        return [Finding(tried, False, error.message, fix)]
    found = [Finding(tried, True, f"Kubernetes {version.get('gitVersion', '?')}, cluster {namespace.cluster}")]
    tries: Sequence[Callable[[], Awaitable[list[Finding]]]] = (
        lambda: check_namespace(namespace),
        lambda: check_permissions(namespace),
        lambda: check_quota(namespace),
        lambda: check_job(namespace, config, api_url),
    )
    for each in await asyncio.gather(*(one() for one in tries), return_exceptions=True):
        if isinstance(each, list):
            found += each
        elif isinstance(each, (NotReachable, Refusal)):
            found.append(Finding(tried, False, each.message, "Try it again."))
        else:
            raise each
    return found


async def check_namespace(namespace: Namespace) -> list[Finding]:
    """Whether the namespace is there, as far as the agent may know."""
    tried = f"the namespace {namespace.name}"
    try:
        found = await namespace.itself()
    except Refusal as error:
        if error.status == 403:
            return []  # the dry run says it as well
        raise
    if found is None:
        return [Finding(tried, False, "does not exist", "Create it, or correct the block's field namespace.")]
    phase = str((found.get("status") or {}).get("phase") or "Active")
    fix = "" if phase == "Active" else "It is being deleted: use another one, or wait and create it again."
    return [Finding(tried, phase == "Active", f"is {phase.lower()}", fix)]


async def check_permissions(namespace: Namespace) -> list[Finding]:
    """Whether the agent may do each thing that it does, one by one."""
    wanted = [(permission, verb) for permission in PERMISSIONS for verb in permission.verbs]
    allowed = await asyncio.gather(
        *(namespace.may(verb, permission.group, permission.resource) for permission, verb in wanted)
    )
    missing = [pair for pair, may in zip(wanted, allowed, strict=True) if not may]
    if not missing:
        return [Finding(f"what the agent may do in {namespace.name}", True, f"all {len(wanted)} things that it needs")]
    return [
        Finding(
            f"{verb} {permission.resource} in {namespace.name}",
            ok=not permission.needed,
            said=f"not allowed: by it the agent {permission.why}",
            fix=_ROLE,
        )
        for permission, verb in missing
    ]


async def check_quota(namespace: Namespace) -> list[Finding]:
    """Whether a quota of the namespace is used up."""
    try:
        quotas = await namespace.quotas()
    except Refusal:
        return []  # without the right to it, a full quota is seen when a run waits for it
    return [_quota(quota) for quota in quotas]


def _quota(quota: dict[str, Any]) -> Finding:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    full = [name for name in ("pods", "count/jobs.batch", "count/pods", "secrets") if _is_full(hard, used, name)]
    text = ", ".join(f"{name} {used.get(name, '0')} of {hard[name]}" for name in sorted(hard))
    tried = f"the quota {quota['metadata']['name']}"
    return Finding(tried, not full, text, f"Raise it: there is no room for {' and '.join(full)}." if full else "")


def _is_full(hard: dict[str, str], used: dict[str, str], name: str) -> bool:
    limit, taken = hard.get(name, ""), used.get(name, "0")
    return limit.isdigit() and taken.isdigit() and int(taken) >= int(limit)


async def check_job(namespace: Namespace, config: KubernetesJob, api_url: str) -> list[Finding]:
    """What the API server, its admission and its quotas say to a Job like those to come, and what its pod names."""
    tried = f"a Job of this block in {namespace.name} (dry run)"
    try:
        request = render(config, sample_job(api_url, {}))
    except PenstockError as error:
        return [Finding(tried, False, error.message, error.hint or "")]
    job = request["job"]
    pod = job["spec"]["template"]["spec"]
    account, told = await check_account(namespace, str(pod.get("serviceAccountName") or "default"))
    told += await check_named(namespace, job, account)
    try:
        await namespace.try_job(job)
    except Refusal as error:
        fix = reasons.hint_of_refusal(error.status, error.message, namespace.name)
        return [*told, Finding(tried, False, error.message, fix)]
    found = [*told, Finding(tried, True, "would be taken")]
    if containers.local_host_in(api_url) is not None or not all(each.ok for each in told):
        return found  # that address leads nowhere from a pod, which is said elsewhere; or a pod would wait for what is missing
    return [*found, await probe(namespace, job, api_url)]


async def check_account(namespace: Namespace, name: str) -> tuple[Object | None, list[Finding]]:
    """The service account that the pod runs as, and whether it is there: without it, no pod is made."""
    try:
        account = await namespace.account(name)
    except Refusal:
        return None, []  # without the right to see it, a missing one is told when a run waits for its pod
    tried = f"the service account {name}"
    if account is not None:
        return account, [Finding(tried, True, "is there")]
    fix = f"kubectl create serviceaccount {name} --namespace {namespace.name}, or correct service_account_name."
    return None, [Finding(tried, False, f"does not exist in {namespace.name}", fix)]
