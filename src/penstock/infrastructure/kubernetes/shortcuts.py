"""The block's fields that have a place of their own in the manifest, laid over it. Pure.

Mappings are merged member by member, lists by what tells their items apart; what the fields say wins. A field that is
empty says nothing.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from penstock.infrastructure.kubernetes.merge import merged
from penstock.model.base import JSONObject


class Fields(Protocol):
    """The fields of a block that are laid over its manifest."""

    @property
    def annotations(self) -> Mapping[str, str]: ...

    @property
    def service_account_name(self) -> str | None: ...

    @property
    def priority_class_name(self) -> str | None: ...

    @property
    def node_selector(self) -> Mapping[str, str]: ...

    @property
    def affinity(self) -> Mapping[str, Any]: ...

    @property
    def tolerations(self) -> Sequence[JSONObject]: ...

    @property
    def image_pull_secrets(self) -> Sequence[str]: ...

    @property
    def pod_security_context(self) -> Mapping[str, Any]: ...

    @property
    def volumes(self) -> Sequence[JSONObject]: ...

    @property
    def image(self) -> str | None: ...

    @property
    def image_pull_policy(self) -> Enum | None: ...

    @property
    def resources(self) -> Mapping[str, Any]: ...

    @property
    def security_context(self) -> Mapping[str, Any]: ...

    @property
    def volume_mounts(self) -> Sequence[JSONObject]: ...

    @property
    def env_from_secrets(self) -> Sequence[str]: ...

    @property
    def env_from_config_maps(self) -> Sequence[str]: ...

    @property
    def env_secret_keys(self) -> Mapping[str, str]: ...

    @property
    def env_config_map_keys(self) -> Mapping[str, str]: ...


def laid_over(job: JSONObject, config: Fields) -> JSONObject:
    """`job` with what the block's own fields say; the first container has its name already."""
    pod = job["spec"]["template"]["spec"]
    metadata = _said(annotations=config.annotations)
    spec = _said(
        serviceAccountName=config.service_account_name,
        priorityClassName=config.priority_class_name,
        nodeSelector=config.node_selector,
        affinity=config.affinity,
        tolerations=_together(pod.get("tolerations"), config.tolerations),
        imagePullSecrets=[{"name": name} for name in config.image_pull_secrets],
        securityContext=config.pod_security_context,
        volumes=_whole(config.volumes),
        containers=[_container(pod["containers"][0], config)],
    )
    return merged(job, {"metadata": metadata, "spec": {"template": {"metadata": metadata, "spec": spec}}})


def _container(container: JSONObject, config: Fields) -> JSONObject:
    policy = config.image_pull_policy
    sources: list[JSONObject] = [{"secretRef": {"name": name}} for name in config.env_from_secrets]
    sources += [{"configMapRef": {"name": name}} for name in config.env_from_config_maps]
    keys = [*_keys(config.env_secret_keys, "secretKeyRef"), *_keys(config.env_config_map_keys, "configMapKeyRef")]
    return _said(
        name=container["name"],
        image=config.image,
        imagePullPolicy=policy.value if policy is not None else None,
        resources=_said(**config.resources),
        securityContext=config.security_context,
        volumeMounts=_whole(config.volume_mounts),
        envFrom=_together(container.get("envFrom"), sources),
        env=_whole(keys),
    )


def _keys(keys: Mapping[str, str], kind: str) -> list[JSONObject]:
    found = []
    for variable, text in keys.items():
        name, _, key = text.partition("/")
        found.append({"name": variable, "valueFrom": {kind: {"name": name, "key": key}}})
    return found


def _together(theirs: Any, ours: Sequence[JSONObject]) -> list[JSONObject]:
    """A list that Kubernetes does not merge: ours after what the manifest has. Empty if there is nothing to change."""
    if not ours:
        return []
    there = theirs if isinstance(theirs, list) else []
    return [*there, *(item for item in ours if item not in there)]


def _whole(items: Sequence[Mapping[str, Any]]) -> list[JSONObject]:
    """Items of which nothing stays from the manifest's."""
    return [{**item, "$retainKeys": [*item]} for item in items]


def _said(**values: Any) -> JSONObject:
    """Those of `values` that say something."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
