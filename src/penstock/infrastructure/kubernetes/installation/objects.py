"""What the objects of an installation have in common: labels, the security of pods, Secrets, YAML. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.model.base import JSONObject
from penstock.version import __version__

#: The group that volumes belong to, so that a user who is not root may write to them.
VOLUME_GROUP = 1000
#: Where Penstock keeps what is its own, in every container of an installation.
HOME = "/var/lib/penstock"
#: Keys of Secrets.
API_KEY, SERVER_KEYS, DATABASE_URL = "api-key", "server-keys", "database-url"


def names_of(component: str, instance: str) -> dict[str, str]:
    """The labels by which pods of a component are found."""
    return {
        "app.kubernetes.io/name": "penstock",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": instance,
    }


def metadata(name: str, namespace: str, component: str, instance: str | None = None) -> JSONObject:
    """An object's metadata. `instance` is what it belongs to, by default what it is called."""
    labels = {
        **names_of(component, instance or name),
        "app.kubernetes.io/part-of": "penstock",
        "app.kubernetes.io/version": __version__.partition("+")[0],
    }
    return {"name": name, "namespace": namespace, "labels": labels}


def secret(meta: JSONObject, contents: Mapping[str, str]) -> JSONObject:
    """A Secret with these contents. What is sealed with its keys could not be read with others: it cannot be changed."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "Opaque",
        "immutable": True,
        "stringData": dict(contents),
    }


def variable(name: str, value: str) -> JSONObject:
    """A variable that may be read by anybody."""
    return {"name": name, "value": value}


def secret_variable(name: str, secret_name: str, key: str) -> JSONObject:
    """A variable whose value is in a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}


def container(name: str, image: str, args: list[str], env: list[JSONObject], **more: Any) -> JSONObject:
    """A container that may do nothing which it does not need: not root, no capabilities, a file system that is read only.

    It can write to HOME and to /tmp. What the image starts first (`ENTRYPOINT`) is left in place.
    """
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "env": [variable("PENSTOCK_HOME", HOME), *env],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "home", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}],
        **more,
    }


def pod(main: JSONObject, home: JSONObject, labels: Mapping[str, str], **more: Any) -> JSONObject:
    """The template of a pod with one container. `home`: the source of the volume that is PENSTOCK_HOME."""
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {
            # else a Service called penstock-… would be a variable that looks like a setting
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": VOLUME_GROUP,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [main],
            "volumes": [{"name": "home", **home}, {"name": "tmp", "emptyDir": {}}],
            **more,
        },
    }


def claim(meta: JSONObject, size: str, storage_class: str | None) -> JSONObject:
    """A volume claim for one node at a time."""
    spec: JSONObject = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def service(meta: JSONObject, port: int, labels: Mapping[str, str]) -> JSONObject:
    """A name and a port for pods with these labels."""
    ports = [{"name": "main", "port": port, "targetPort": "main", "protocol": "TCP"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports, "selector": dict(labels)}}


def http_probe(path: str, **figures: int) -> JSONObject:
    """A question to the container's main port."""
    return {"httpGet": {"path": path, "port": "main"}, **figures}


def without_secrets(objects: Iterable[JSONObject]) -> list[JSONObject]:
    """Those that may lie in a repository."""
    return [item for item in objects if item["kind"] != "Secret"]


def to_yaml(objects: Iterable[JSONObject]) -> str:
    """The objects as one stream of YAML documents."""
    import yaml

    # a copy in which nothing is shared: YAML would write what is shared as a reference
    plain = json.loads(json.dumps([*objects]))
    return "---\n".join(yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=1000) for item in plain)
