"""Which login a pull is made with: the block's, else what the docker program's configuration has for that registry.

Nothing is ever written there, and the engine is never logged in: a login travels with the one request that needs it.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from penstock.blocks.docker_address import config_folder, read_docker_config
from penstock.blocks.http import hide
from penstock.errors import ConfigurationError
from penstock.infrastructure.images import DEFAULT_REGISTRY, registry_of

#: Under which configurations and credential helpers keep the login of the default registry.
_DEFAULT_KEY = "https://index.docker.io/v1/"
_DEFAULT_HOSTS = {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}
#: Seconds that a credential helper may take.
HELPER_SECONDS = 20.0
#: What helpers say of a registry that they have nothing for.
_NOTHING_KEPT = ("credentials not found", "no credentials")
#: In place of the name, from helpers whose secret is a token of the registry's.
_TOKEN_NAME = "<token>"


@dataclass(frozen=True)
class Login:
    """What is shown to one registry. `source` says, for people, where it was found; `fields` empty: nobody in particular.

    `trouble` says why a login that there should be could not be had; `passing`: whether that may be otherwise soon.
    """

    registry: str
    source: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    trouble: str = ""
    passing: bool = False

    @property
    def anonymous(self) -> bool:
        return not self.fields

    @property
    def username(self) -> str:
        """Empty if it is a token's, or nobody's."""
        return self.fields.get("username", "")

    @property
    def secrets(self) -> list[str]:
        """What no message may tell."""
        return [value for name, value in self.fields.items() if name not in {"username", "serveraddress"}]

    @property
    def header(self) -> str:
        """The value of X-Registry-Auth, by which the engine is told of it for one request."""
        return base64.urlsafe_b64encode(json.dumps(dict(self.fields)).encode()).decode()

    def __str__(self) -> str:
        if self.anonymous:
            return "without a login"
        return f"as {self.username} ({self.source})" if self.username else f"with a token ({self.source})"


def login_for(
    image: str, given: Mapping[str, Any] | None, environ: Mapping[str, str] | None = None, home: Path | None = None
) -> Login:
    """The login to pull `image` with. `given` is that of a request: ``registry``, ``username`` and ``password``.

    May run a credential helper. Raises ConfigurationError if `given` is for another registry than the image's, because a
    pull without any login is what nobody meant who has set one.
    """
    registry = registry_of(image)
    if given is not None:
        return _given(image, registry, given)
    environ = os.environ if environ is None else environ
    folder = config_folder(environ, home or Path.home())
    try:
        config = read_docker_config(folder)
    except ConfigurationError as error:
        return Login(registry, str(folder), trouble=error.message)
    return _configured(registry, config, folder, environ)


def registry_named(address: str) -> str:
    """The registry that an address of a login means, with its port: ``https://index.docker.io/v1/`` is ``docker.io``."""
    host = urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[2].lower()
    return DEFAULT_REGISTRY if host in _DEFAULT_HOSTS else host


def _given(image: str, registry: str, given: Mapping[str, Any]) -> Login:
    named = registry_named(str(given["registry"]))
    if named != registry:
        raise ConfigurationError(
            f"The image {image} comes from the registry {registry}, and the block image_registry holds a login to {named}.",
            code="other_registry",
            hint=f"Name the image {named}/…, or use a docker-registry block with the registry_url {registry}; without a "
            "block, the docker configuration of the agent's user is asked.",
        )
    password = given["password"]
    shown = password.get_secret_value() if isinstance(password, SecretStr) else str(password)
    fields = {"username": str(given["username"]), "password": shown, "serveraddress": _server(registry)}
    return Login(registry, "the block image_registry", fields)


def _configured(registry: str, config: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> Login:
    """What `config` has for `registry`: of its helper, else of the store for all, else of the file itself."""
    source = str(folder / "config.json")
    helpers = config.get("credHelpers") or {}
    for key, name in helpers.items() if isinstance(helpers, Mapping) else ():
        if registry_named(str(key)) == registry:
            return _ask_helper(str(name), registry, environ, str(key))
    written = _written(registry, config.get("auths"), source)
    store = config.get("credsStore")
    if store and (written is None or written.anonymous):
        return _ask_helper(str(store), registry, environ, _server(registry))
    return written or Login(registry, source)


def _written(registry: str, auths: Any, source: str) -> Login | None:
    """The entry of ``auths`` for `registry`; None if there is none."""
    for key, entry in auths.items() if isinstance(auths, Mapping) else ():
        if registry_named(str(key)) != registry or not isinstance(entry, Mapping):
            continue
        fields = {name: str(entry[name]) for name in ("username", "password") if entry.get(name)}
        if entry.get("auth"):
            try:
                decoded = base64.b64decode(str(entry["auth"]).strip(), validate=True).decode()
            except ValueError:
                return Login(registry, source, trouble=f"{source} has a login for {key} that cannot be decoded")
            username, _, password = decoded.rstrip("\0").partition(":")
            fields = {"username": username, "password": password}
        for name in ("identitytoken", "registrytoken"):
            if entry.get(name):
                fields = {name: str(entry[name])}
        return Login(registry, source, fields and {**fields, "serveraddress": _server(registry)})
    return None


def _ask_helper(name: str, registry: str, environ: Mapping[str, str], key: str) -> Login:
    """What the program ``docker-credential-NAME`` has for `registry`."""
    program = f"docker-credential-{name}"
    path = shutil.which(program, path=environ.get("PATH"))
    if path is None:
        said = f"the docker configuration names {program}, which is not in the PATH of this process"
        return Login(registry, program, trouble=said)
    try:
        ended = subprocess.run(
            [path, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=HELPER_SECONDS,
            env=dict(environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        said = "did not answer in time" if isinstance(error, subprocess.TimeoutExpired) else f"cannot be run: {error}"
        return Login(registry, program, trouble=f"{program} {said}", passing=True)
    if ended.returncode != 0:
        words = (ended.stdout.strip() or ended.stderr.strip())[:300]
        if any(part in words.lower() for part in _NOTHING_KEPT):
            return Login(registry, program)
        return Login(registry, program, trouble=f"{program} failed ({ended.returncode}): {words}", passing=True)
    try:
        kept = json.loads(ended.stdout)
        username, secret = str(kept["Username"]), str(kept["Secret"])
    except (ValueError, LookupError, TypeError):
        return Login(registry, program, trouble=f"{program} answered what is no login")
    if not secret:
        return Login(registry, program)
    fields = {"identitytoken": secret} if username == _TOKEN_NAME else {"username": username, "password": secret}
    return Login(registry, program, {**fields, "serveraddress": _server(registry)})


def _server(registry: str) -> str:
    return _DEFAULT_KEY if registry == DEFAULT_REGISTRY else registry


def without_secrets(words: str, login: Login) -> str:
    """`words` with masks in place of what the login holds."""
    return hide(words, login.secrets)
