"""The Secret that goes with a Job: the attempt's token as a file, and variables that are named like secrets. Pure.

A Job's manifest is read by many who may not read Secrets, so nothing secret stays in it.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from penstock.infrastructure.base import Job
from penstock.infrastructure.containers import TOKEN_FILE
from penstock.infrastructure.kubernetes.literals import unquoted
from penstock.infrastructure.kubernetes.pod_fields import TOKEN_VOLUME
from penstock.infrastructure.variables import ATTEMPT_TOKEN, ATTEMPT_TOKEN_FILE
from penstock.model.base import JSONObject
from penstock.model.secret_texts import is_secret, names_a_secret

_TOKEN_FOLDER, _, _TOKEN_KEY = TOKEN_FILE.rpartition("/")
#: Whoever a container runs as may read its own attempt's token.
_FOR_ALL_TO_READ = 0o444


def token_volume(secret_name: str) -> JSONObject:
    """The volume that has the attempt's token in it."""
    items = [{"key": _TOKEN_KEY, "path": _TOKEN_KEY}]
    return {
        "name": TOKEN_VOLUME,
        "secret": {"secretName": secret_name, "items": items, "defaultMode": _FOR_ALL_TO_READ},
    }


def token_mount() -> JSONObject:
    """Where the flow run's container finds it."""
    return {"name": TOKEN_VOLUME, "mountPath": _TOKEN_FOLDER, "readOnly": True}


def contents(job: Job) -> dict[str, SecretStr]:
    """What the Secret holds of the job itself: the token under the name of its file, other secrets under their own."""
    return {_TOKEN_KEY if name == ATTEMPT_TOKEN else name: SecretStr(value) for name, value in job.secret_env.items()}


def references(job: Job) -> list[JSONObject]:
    """The variables of the flow run's container that lead to the Secret."""
    found: list[JSONObject] = [_reference(name, job.name, name) for name in job.secret_env if name != ATTEMPT_TOKEN]
    if ATTEMPT_TOKEN in job.secret_env:
        found.append({"name": ATTEMPT_TOKEN_FILE, "value": TOKEN_FILE})
    return found


def conceal(pod: JSONObject, secret_name: str, held: dict[str, SecretStr]) -> None:
    """Move what is secret in the variables of the pod's containers into `held`, the contents of that Secret.

    A value that refers to other variables stays: Kubernetes reads no references in Secrets.
    """
    for variables in _variables(pod):
        for index, item in enumerate(variables):
            name, value = item.get("name"), item.get("value")
            if not isinstance(name, str) or not names_a_secret(name):
                continue
            meant = unquoted(value) if is_secret(value) else None
            if meant is not None:
                variables[index] = _reference(name, secret_name, _keep(name, meant, held))


def _variables(pod: JSONObject) -> Iterator[list[Any]]:
    for kind in ("initContainers", "containers"):
        for container in pod.get(kind) or ():
            variables = container.get("env")
            if isinstance(variables, list):
                yield variables


def _keep(name: str, value: str, held: dict[str, SecretStr]) -> str:
    """The key under which `value` is held: the variable's name, with a number where another value has that."""
    key, number = name, 1
    while key in held and held[key].get_secret_value() != value:
        number += 1
        key = f"{name}.{number}"
    held[key] = SecretStr(value)
    return key


def _reference(variable: str, secret_name: str, key: str) -> JSONObject:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}
