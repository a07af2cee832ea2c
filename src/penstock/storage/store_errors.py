"""Errors of the libraries below fsspec, which have nothing in common: what kind they are, and their words for people. Pure."""

import re
from collections.abc import Iterator

#: Classes that say the network was at fault: of aiohttp, botocore, azure-core, paramiko and smbprotocol.
_NETWORK = frozenset(
    {
        "ClientConnectionError", "ClientPayloadError",
        "ConnectionClosedError", "EndpointConnectionError", "IncompleteReadError", "ReadTimeoutError", "ConnectTimeoutError",
        "ResponseStreamingError",
        "ServiceRequestError", "ServiceResponseError",
        "SSHException",
        "SMBConnectionClosed",
    }
)  # fmt: skip
#: And those of the same families that say otherwise: asking again would only lock a user out.
_FINAL = frozenset({"AuthenticationException", "BadHostKeyException", "ClientConnectorCertificateError"})
#: Class -> what to do, where the library's words alone leave people helpless.
_CURES = {
    "NoCredentialsError": "Give the block keys, or the machine: variables of the environment, a profile, a role.",
    "DefaultCredentialsError": "Give the block a service account, or the machine: application default credentials.",
    "EndpointConnectionError": "Is the address right, and can it be reached from here?",
}
#: What Azure adds to its sentence: lines for its own support.
_FOR_SUPPORT = re.compile(r"\s*\bRequestId:.*", re.S)


def is_networks_fault(error: BaseException) -> bool:
    """Whether the same may succeed if it is tried again: a connection was lost, or none came about. Causes are looked at too."""
    for seen in _chain(error):
        names = {kind.__name__ for kind in type(seen).__mro__}
        if names & _FINAL or isinstance(seen, FileNotFoundError | PermissionError):
            return False
        if names & _NETWORK or isinstance(seen, ConnectionError | TimeoutError | EOFError):
            return True
    return False


def kind_of(error: Exception) -> type[OSError]:
    """What Python would call it: FileNotFoundError, PermissionError, or OSError for whatever else."""
    for kind in (FileNotFoundError, PermissionError):
        if isinstance(error, kind):
            return kind
    status = _status(error)
    if status == 404:
        return FileNotFoundError
    return PermissionError if status in (401, 403) or str(error).startswith("Forbidden") else OSError


def words_of(error: Exception) -> str:
    """What it says, in one line."""
    return " ".join(_FOR_SUPPORT.sub("", str(error)).split()) or type(error).__name__


def explained(error: Exception, words: str) -> str:
    """`words` with the error's class in front, and with what to do where that is known."""
    name = type(error).__name__
    found = words if isinstance(error, OSError) and name == "OSError" else f"{name}: {words}"
    cure = next(
        (_CURES[kind.__name__] for seen in _chain(error) for kind in type(seen).__mro__ if kind.__name__ in _CURES),
        None,
    )
    return found if cure is None else f"{found.rstrip('.')}. {cure}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _status(error: Exception) -> int | None:
    """The status of an HTTP answer, which Azure and Google call differently."""
    for name in ("status_code", "code", "status"):
        told = getattr(error, name, None)
        if isinstance(told, int | str) and str(told).isdigit():
            return int(told)
    return None
