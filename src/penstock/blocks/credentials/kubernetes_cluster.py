"""How to reach a Kubernetes cluster: what kubectl reads from a kubeconfig."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.fields import SecretDict
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.base import JSONObject

#: Fields of a kubeconfig that name files, and those that hold what is in the file instead.
_CLUSTER_FILES = {"certificate-authority": "certificate-authority-data"}
_USER_FILES = {"client-certificate": "client-certificate-data", "client-key": "client-key-data"}


class KubernetesClusterConfig(Block):
    """Where a Kubernetes cluster is and how to get in: a kubeconfig, and the context in it that is used.

    All of the configuration is kept as a secret, for it holds tokens and keys.
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Cluster Config"
    _block_type_slug: ClassVar[str | None] = "kubernetes-cluster-config"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.kubernetes import KubernetesClusterConfig

        KubernetesClusterConfig.from_file(context_name="staging").save("BLOCK_NAME")
    """

    config: SecretDict = Field(description="The content of a kubeconfig: as mapping, or as its YAML or JSON text.")
    context_name: str = Field(description="The context that is used; where it is left out, the current one.")

    @field_validator("config", mode="before")
    @classmethod
    def _read_config(cls, value: Any) -> Any:
        return _parse(value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _take_current_context(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("context_name") is not None or "config" not in value:
            return value
        config = value["config"]
        if isinstance(config, SecretDict):
            config = config.get_secret_value()
        config = _parse(config) if isinstance(config, str) else config
        current = config.get("current-context") if isinstance(config, dict) else None
        if not current:
            raise ValueError(f"The kubeconfig has no current context: give context_name{_choices(_names(config))}.")
        return {**value, "config": config, "context_name": current}

    @model_validator(mode="after")
    def _check_context(self) -> Self:
        if holds_reference(self.context_name):
            return self
        config = self.config.get_secret_value()
        context = _entry(config, "contexts", "context", self.context_name)
        _entry(config, "clusters", "cluster", str(context.get("cluster")))
        if context.get("user"):
            _entry(config, "users", "user", str(context["user"]))
        return self

    @classmethod
    def from_file(cls, path: str | os.PathLike[str] | None = None, context_name: str | None = None) -> Self:
        """The block for one context of a kubeconfig; by default the current one.

        `path` is by default what KUBECONFIG names (of several files the first that exists), else ~/.kube/config. The
        block holds that context alone, with the contents of the files that it refers to, so that it works anywhere.
        Raises ConfigurationError if a file cannot be read.
        """
        source = Path(path).expanduser() if path is not None else _default_path()
        whole = cls.model_validate({"config": _read(source, Path.read_text), "context_name": context_name})
        config = whole.config.get_secret_value()
        context = _entry(config, "contexts", "context", whole.context_name)
        chosen: JSONObject = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": whole.context_name,
            "contexts": [{"name": whole.context_name, "context": context}],
        }
        for section, noun, name, files in (
            ("clusters", "cluster", context.get("cluster"), _CLUSTER_FILES),
            ("users", "user", context.get("user"), _USER_FILES),
        ):
            if name:
                entry = _with_contents(_entry(config, section, noun, str(name)), files, source.parent)
                chosen[section] = [{"name": name, noun: entry}]
        return cls(config=SecretDict(chosen), context_name=whole.context_name)

    async def get_api_client(self) -> Any:
        """`kubernetes_asyncio.client.ApiClient` for the context; close it when done."""
        module = import_extra("kubernetes_asyncio.config", extra="kubernetes", user="KubernetesClusterConfig")
        block = resolved(self)
        return await module.new_client_from_config_dict(block.config.get_secret_value(), context=block.context_name)

    async def configure_client(self) -> None:
        """Make the context the one that every client of kubernetes_asyncio in this process uses."""
        module = import_extra("kubernetes_asyncio.config", extra="kubernetes", user="KubernetesClusterConfig")
        block = resolved(self)
        await module.load_kube_config_from_dict(block.config.get_secret_value(), context=block.context_name)


def _parse(text: str) -> JSONObject:
    import yaml

    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        # The text around it may be a secret: only the place is told.
        raise ValueError(f"config is no YAML{where}.") from None
    if not isinstance(config, dict):
        raise ValueError("config is no kubeconfig: a mapping with clusters, users and contexts is needed.")
    return config


def _entries(config: Any, section: str) -> list[JSONObject]:
    entries = config.get(section) if isinstance(config, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _names(config: Any, section: str = "contexts") -> list[str]:
    return [str(entry.get("name")) for entry in _entries(config, section)]


def _choices(names: list[str]) -> str:
    return f", one of {', '.join(names)}" if names else ""


def _entry(config: JSONObject, section: str, noun: str, name: str) -> JSONObject:
    """What the kubeconfig says of the cluster, user or context of that name. Raises ValueError if it has none."""
    for entry in _entries(config, section):
        if str(entry.get("name")) == name and isinstance(entry.get(noun), dict):
            found: JSONObject = entry[noun]
            return found
    names = _names(config, section)
    hint = did_you_mean(name, names) or (f" It has {', '.join(names)}." if names else "")
    raise ValueError(f"The kubeconfig has no {noun} {name!r}.{hint}")


def _with_contents(entry: JSONObject, files: dict[str, str], folder: Path) -> JSONObject:
    """`entry` with what is in its files, so that it does not depend on them."""
    told = dict(entry)
    for field, target in files.items():
        if told.get(field):
            content = _read(folder / Path(str(told.pop(field))).expanduser(), Path.read_bytes)
            told.setdefault(target, base64.b64encode(content).decode())
    return told


def _default_path() -> Path:
    named = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return next((path for path in named if path.exists()), named[0] if named else Path("~/.kube/config").expanduser())


def _read(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            code="kubeconfig_missing",
            hint="Give the kubeconfig's path, or set KUBECONFIG.",
        ) from error
