"""The Secrets and ConfigMaps that a Job's pod names, and whether they are there with what is wanted of them.

A pod whose variable or volume names what is not there never starts; a login that is not there is passed over by the
nodes, which say later that the image may not be fetched. No content of a Secret is read to know it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import did_you_mean
from penstock.infrastructure.base import Finding
from penstock.infrastructure.kubernetes.calls import Namespace, Object
from penstock.infrastructure.kubernetes.connection import Refusal

Kind = Literal["Secret", "ConfigMap"]
#: What a Secret has to be for a node to log in with it.
_OF_LOGINS = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
_LOGINS = "image_pull_secrets"


@dataclass(frozen=True)
class Named:
    """`key`: what is wanted of it, None: all of it. `field`: the block's field that such things are said in."""

    kind: Kind
    name: str
    field: str
    key: str | None = None


def named_in(job: Object) -> list[Named]:
    """What the pod of `job` names and needs, each once; the Secret that goes with the Job is not among it. Pure."""
    own = ("Secret", job["metadata"]["name"])
    found = _named(job["spec"]["template"]["spec"])
    return [*dict.fromkeys(each for each in found if (each.kind, each.name) != own)]


def logins_of(account: Object) -> list[Named]:
    """The logins of a service account: those of pods that name none themselves. Pure."""
    return [
        Named("Secret", str(item["name"]), _LOGINS)
        for item in account.get("imagePullSecrets") or ()
        if item.get("name")
    ]


def _named(pod: Object) -> Iterator[Named]:
    yield from (Named("Secret", str(item["name"]), _LOGINS) for item in pod.get("imagePullSecrets") or ())
    for container in (*(pod.get("initContainers") or ()), *pod["containers"]):
        for source in container.get("envFrom") or ():
            yield from _reference(source.get("secretRef"), "Secret", "env_from_secrets")
            yield from _reference(source.get("configMapRef"), "ConfigMap", "env_from_config_maps")
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield from _reference(source.get("secretKeyRef"), "Secret", "env_secret_keys")
            yield from _reference(source.get("configMapKeyRef"), "ConfigMap", "env_config_map_keys")
    for volume in pod.get("volumes") or ():
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield from _files(source.get("secret"), "Secret")
            yield from _files(source.get("configMap"), "ConfigMap")


def _reference(source: Mapping[str, Any] | None, kind: Kind, field: str) -> Iterator[Named]:
    if source and source.get("name") and not source.get("optional"):
        yield Named(kind, str(source["name"]), field, source.get("key"))


def _files(source: Mapping[str, Any] | None, kind: Kind) -> Iterator[Named]:
    if source and not source.get("optional"):
        name = str(source.get("secretName") or source.get("name"))
        keys = [item.get("key") for item in source.get("items") or ()] or [None]
        yield from (Named(kind, name, "volumes", key) for key in keys)


async def check_named(namespace: Namespace, job: Object, account: Object | None) -> list[Finding]:
    """A finding about each object that the pod names. `account`: the service account that it runs as, if it is known.

    Where the agent may not ask, a finding says so, and the pod's own words will tell. Raises NotReachable, Refusal.
    """
    named = named_in(job)
    wanted = [_checked(namespace, each) for each in named]
    inherited = logins_of(account or {}) if not any(each.field == _LOGINS for each in named) else []
    of_account = await asyncio.gather(*(_checked(namespace, each) for each in inherited))
    return [*await asyncio.gather(*wanted), *map(_not_needed, of_account)]


def _not_needed(finding: Finding) -> Finding:
    """What comes with the account was not asked for by the block: that it is not there is told, and no failure."""
    said = finding.said if finding.ok else f"{finding.said}; images are fetched without it"
    return Finding(f"{finding.tried} of the service account", True, said)


async def _checked(namespace: Namespace, named: Named) -> Finding:
    noun = "login" if named.field == _LOGINS else "key" if named.key else named.kind
    whole = f"{named.kind} {named.name}" if noun == named.kind else f"{noun} {_within(named)}"
    tried = f"the {whole} in {namespace.name}"
    try:
        told = await (_of_secret if named.kind == "Secret" else _of_config_map)(namespace, named)
    except Refusal as error:
        if error.status == 403:
            return Finding(tried, True, f"not looked at: the agent may not; a run's pod says it. {error.message}")
        return Finding(tried, True, f"not known: {error.message}")
    if told is None:
        return Finding(tried, True, "is there")
    said, fix = told
    return Finding(tried, False, said, f"{fix}, or correct it in {named.field} or in the manifest.")


def _within(named: Named) -> str:
    return f"{named.key} of the {named.kind} {named.name}" if named.key else named.name


async def _of_secret(namespace: Namespace, named: Named) -> tuple[str, str] | None:
    """What is wrong with a Secret and what to do, None if nothing is."""
    made = _how_to_make(namespace.name, named)
    found = await namespace.secret_after(named.name, {})
    if found is None:
        return f"there is no Secret {named.name}", made
    kind, count = found
    if named.field == _LOGINS and kind not in _OF_LOGINS:
        return (
            f"is a Secret of type {kind}, and nodes log in with {' or '.join(_OF_LOGINS)} only",
            f"Delete it and make it again: {made}",
        )
    if named.key is None or await _has_key(namespace, named.name, named.key, count):
        return None
    return f"the Secret {named.name} has no such key", f"Add it: kubectl edit secret {_at(namespace.name, named)}"


async def _has_key(namespace: Namespace, name: str, key: str, count: int) -> bool:
    """Whether a Secret with `count` keys would have fewer without that one."""
    try:
        after = await namespace.secret_after(name, {"data": {key: None}})
    except Refusal as error:
        if error.status != 422:
            raise
        return True  # it cannot be taken away: the Secret is immutable, or its type needs it
    return after is not None and after[1] < count


async def _of_config_map(namespace: Namespace, named: Named) -> tuple[str, str] | None:
    found = await namespace.config_map(named.name)
    if found is None:
        return f"there is no ConfigMap {named.name}", _how_to_make(namespace.name, named)
    keys = [*(found.get("data") or {}), *(found.get("binaryData") or {})]
    if named.key is None or named.key in keys:
        return None
    said = f"the ConfigMap {named.name} has no such key; it has {', '.join(sorted(keys)) or 'none'}."
    fix = f"Add it: kubectl edit configmap {_at(namespace.name, named)}"
    return f"{said}{did_you_mean(named.key, keys)}", fix


def _how_to_make(namespace: str, named: Named) -> str:
    if named.field == _LOGINS:
        login = "--docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
        return f"kubectl create secret docker-registry {_at(namespace, named)} {login}"
    kind = "secret generic" if named.kind == "Secret" else "configmap"
    return f"kubectl create {kind} {_at(namespace, named)} --from-literal={named.key or 'KEY'}=VALUE"


def _at(namespace: str, named: Named) -> str:
    return f"{named.name} --namespace {namespace}"
