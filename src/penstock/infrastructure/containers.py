"""What all platforms that run containers share of a job: its command and its variables. Pure."""

from collections.abc import Sequence

from pydantic import SecretStr

from penstock.infrastructure.base import Job

#: The command of a job that says nothing else: the engine, on the image's interpreter.
ENGINE_COMMAND = ("python", "-m", "penstock.engine")
#: Where a container finds its attempt's token, if its platform can hand over files.
TOKEN_FILE = "/run/penstock/token"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")


def command_of(job: Job) -> list[str]:
    """The job's command, by default the engine."""
    return list(job.command or ENGINE_COMMAND)


def is_engine(command: Sequence[str] | None) -> bool:
    """Whether a job's command runs the engine of a flow run: it is none of the user's own, of which nothing is known."""
    return tuple(command or ()) == ENGINE_COMMAND


def variables_of(job: Job) -> dict[str, str]:
    """The job's variables that may be shown; those that are to be removed are not among them."""
    return {name: value for name, value in job.env.items() if value is not None}


def secrets_of(job: Job) -> dict[str, SecretStr]:
    """The job's variables that must not be shown."""
    return {name: SecretStr(value) for name, value in job.secret_env.items()}


def local_host_in(url: str) -> str | None:
    """The host in `url` by which it only means the machine that uses it; None if it means the same everywhere."""
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return host if host in _LOCAL_HOSTS else None
