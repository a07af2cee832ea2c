"""Where the Docker engine is: what DOCKER_HOST, a docker context and the places of sockets say of it.

The order is that of the docker program: DOCKER_HOST, DOCKER_CONTEXT, the current context of the user's configuration, the
machine's own socket. Where that socket is missing, those of engines that run without root and of Podman are looked for.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import ConfigurationError, did_you_mean

_DEFAULT_SOCKET = Path("/var/run/docker.sock")
_PODMAN_SOCKET = Path("/run/podman/podman.sock")
#: Ports that the docker program takes where none is written: plain, and with TLS.
_PORT, _TLS_PORT = 2375, 2376
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class TLS:
    """Files that prove who is who. `ca` None: the certificates that this machine trusts; `verify` False: whoever answers
    is believed."""

    ca: Path | None
    certificate: Path | None
    key: Path | None
    verify: bool = True


@dataclass(frozen=True)
class EngineAddress:
    """One engine's address: ``unix:///PATH``, ``tcp://HOST:PORT`` or ``ssh://[USER@]HOST[:PORT][/PATH]``.

    `source` says, for people, where that was read.
    """

    url: str
    source: str
    tls: TLS | None = None

    @property
    def kind(self) -> str:
        """``unix``, ``tcp`` or ``ssh``."""
        return self.url.partition("://")[0]

    @property
    def socket(self) -> str:
        """The path of the socket of a ``unix`` address."""
        return self.url.removeprefix("unix://")

    @property
    def on_this_machine(self) -> bool:
        """Whether the address means this machine. What answers there may still be somewhere else, behind a tunnel."""
        return self.kind == "unix" or (urlsplit(self.url).hostname or "") in _LOOPBACK


def engine_address(environ: Mapping[str, str], home: Path) -> EngineAddress:
    """The address that `environ` and the configuration of the user whose home this is name; reads files, asks nobody.

    Raises ConfigurationError that says what is wrong and where it was written.
    """
    if host := environ.get("DOCKER_HOST"):
        return _from_host(host, "DOCKER_HOST", _tls_of(environ, home))
    folder = config_folder(environ, home)
    name, source = environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        source = f"the current context of {folder / 'config.json'}"
        name = str(read_docker_config(folder).get("currentContext") or "")
    if name and name != "default":
        return _from_context(folder, name, source)
    return EngineAddress(f"unix://{_socket(environ)}", "the machine's own socket")


def tls_config(docker: Any, tls: TLS) -> Any:
    """`tls` as the SDK's clients take it; `docker` is the SDK."""
    pair = (str(tls.certificate), str(tls.key)) if tls.certificate else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=str(tls.ca) if tls.ca else None, verify=tls.verify)


def config_folder(environ: Mapping[str, str], home: Path) -> Path:
    """The folder of the docker program's configuration: DOCKER_CONFIG, else ``.docker`` in the user's home."""
    named = environ.get("DOCKER_CONFIG")
    return Path(named) if named else home / ".docker"


def read_docker_config(folder: Path) -> dict[str, Any]:
    """What ``config.json`` in `folder` holds, nothing if there is none. Raises ConfigurationError if it is no JSON object."""
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", hint="Correct it, or set DOCKER_CONFIG.") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} holds no JSON object.", hint="Correct it, or set DOCKER_CONFIG.")
    return found


def _socket(environ: Mapping[str, str]) -> Path:
    """The first socket that is there, else the one that everybody expects."""
    own = environ.get("XDG_RUNTIME_DIR")
    candidates = [_DEFAULT_SOCKET]
    if own:
        candidates += [Path(own) / "docker.sock", Path(own) / "podman" / "podman.sock"]
    return next((path for path in [*candidates, _PODMAN_SOCKET] if path.exists()), _DEFAULT_SOCKET)


def _from_host(host: str, source: str, tls: TLS | None) -> EngineAddress:
    host = host.strip()
    scheme, separator, rest = host.partition("://")
    if not separator:
        scheme, rest = "tcp", host
    if scheme == "unix":
        path = rest or str(_DEFAULT_SOCKET)
        return EngineAddress(f"unix:///{path.lstrip('/')}", source)
    if scheme not in {"tcp", "http", "https", "ssh"} or not rest:
        raise ConfigurationError(
            f"{source} is {host!r}, by which no engine can be reached from here.",
            hint="There are unix:///PATH, tcp://HOST:PORT and ssh://USER@HOST.",
        )
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{source} is {host!r}: {error}.") from None
    if parts.hostname is None or parts.password is not None:
        raise ConfigurationError(
            f"{source} is no address of an engine.", hint="Write tcp://HOST:PORT or ssh://USER@HOST."
        )
    if scheme == "ssh":
        return EngineAddress(f"ssh://{rest.rstrip('/')}", source)
    if scheme == "https" and tls is None:
        tls = TLS(None, None, None)
    bare = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return EngineAddress(f"tcp://{bare}:{port or (_TLS_PORT if tls else _PORT)}", source, tls)


def _tls_of(environ: Mapping[str, str], home: Path) -> TLS | None:
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    if not verify and not environ.get("DOCKER_TLS"):
        return None
    named = environ.get("DOCKER_CERT_PATH")
    folder = Path(named) if named else config_folder(environ, home)
    return _tls_in(folder, verify, "DOCKER_CERT_PATH" if named else "DOCKER_TLS_VERIFY")


def _tls_in(folder: Path, verify: bool, source: str) -> TLS:
    """The files in `folder`. Raises ConfigurationError if one of a pair is missing."""
    ca, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    if certificate.exists() != key.exists():
        missing = key if certificate.exists() else certificate
        raise ConfigurationError(
            f"{missing} does not exist, and its counterpart does.",
            hint=f"Put ca.pem, cert.pem and key.pem into the folder that {source} means.",
        )
    if verify and not ca.exists() and source == "DOCKER_CERT_PATH":
        raise ConfigurationError(
            f"{ca} does not exist, so it is not known whom to trust.",
            hint="Put ca.pem, cert.pem and key.pem into the folder that DOCKER_CERT_PATH names.",
        )
    pair = certificate.exists()
    return TLS(ca if ca.exists() else None, certificate if pair else None, key if pair else None, verify)


def _from_context(folder: Path, name: str, source: str) -> EngineAddress:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest / "meta.json"
    try:
        endpoint = json.loads(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]
        host, unverified = str(endpoint.get("Host") or ""), bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError:
        known = ["default", *_contexts(folder)]
        raise ConfigurationError(
            f"{source} names the docker context {name!r}, which does not exist.{did_you_mean(name, known)}",
            hint=f"There are {', '.join(known)} in {folder / 'contexts'}; `docker context ls` lists them.",
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"The docker context {name!r} cannot be read from {meta}: {type(error).__name__}: {error}",
            hint="`docker context inspect` shows it.",
        ) from None
    files = folder / "contexts" / "tls" / digest / "docker"
    tls = _tls_in(files, not unverified, f"the context {name!r}") if files.is_dir() else None
    return _from_host(host, f"the docker context {name!r}", tls)


def _contexts(folder: Path) -> list[str]:
    """The names of the contexts that there are, as far as they can be read."""
    names = []
    for meta in (folder / "contexts" / "meta").glob("*/meta.json"):
        try:
            names.append(str(json.loads(meta.read_text(encoding="utf-8"))["Name"]))
        except (OSError, ValueError, LookupError, TypeError):
            continue
    return sorted(names)
