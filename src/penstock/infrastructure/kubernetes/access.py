"""Who the agent is on a cluster: where that is said, and what is read there each time anew."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes_asyncio import config

from penstock.errors import ConfigurationError

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
#: What of a kubeconfig's user leads to credentials that change by themselves.
_PERISHABLE = ("exec", "tokenFile", "auth-provider")


@dataclass(frozen=True)
class Access:
    """Where the way to a cluster is described: a kubeconfig's content and context, its file, or the pod we run in.

    All of them None: the pod.
    """

    content: str | None = None
    context: str | None = None
    files: str | None = None

    def describe(self) -> str:
        if self.content is not None:
            return f"the cluster_config block, context {self.context!r}"
        return f"the kubeconfig {self.files}" if self.files is not None else "the service account of this pod"


def access_of(connection: Mapping[str, Any] | None, environ: Mapping[str, str]) -> Access:
    """What is used: the block, else the pod that we run in, else the kubeconfig. `connection` is the block's data.

    Raises ConfigurationError if there is none of them.
    """
    if connection is not None:
        content = connection["config"]
        plain = content.get_secret_value() if hasattr(content, "get_secret_value") else content
        return Access(content=json.dumps(plain, default=str), context=connection["context_name"])
    if environ.get(_SERVICE_HOST):
        return Access()
    named = environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    if not any(Path(part).expanduser().exists() for part in named.split(os.pathsep) if part):
        raise ConfigurationError(
            f"There is no way to a Kubernetes cluster: this is no pod, and there is no kubeconfig {named}.",
            code="kubeconfig_missing",
            hint="Give the block a cluster_config, or set KUBECONFIG where the agent runs.",
        )
    return Access(files=named)


async def fill(access: Access, configuration: Any) -> bool:
    """Make the SDK's `configuration` lead to the cluster; gives whether what lets us in may change by itself.

    Raises whatever the SDK, an exec plugin or the file system raises.
    """
    perishable = True
    if access.content is None and access.files is None:
        # the SDK's own way to read the token again now and then would undo what is read here after a refusal
        config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
    else:
        perishable = _is_perishable(await _of_kubeconfig(access, configuration))
    # files end with a newline, which no header may have
    configuration.api_key = {name: key.strip() for name, key in configuration.api_key.items()}
    return perishable


async def _of_kubeconfig(access: Access, configuration: Any) -> Any:
    if access.content is None:
        return await config.load_kube_config(
            config_file=access.files, client_configuration=configuration, persist_config=False
        )
    content = json.loads(access.content)
    return await config.load_kube_config_from_dict(content, context=access.context, client_configuration=configuration)


def _is_perishable(loader: Any) -> bool:
    user = getattr(loader, "_user", None)
    return user is not None and any(name in user for name in _PERISHABLE)
