"""From a Process block and a job to the exact request that the launcher gets. Pure: nothing is looked up here."""

import os.path
import shlex
from dataclasses import dataclass, field
from uuid import UUID

from penstock.errors import Unsupported
from penstock.infrastructure.base import Job
from penstock.infrastructure.job import with_block
from penstock.infrastructure.process.config import DEFAULT_COMMAND, Process
from penstock.infrastructure.variables import READ_AT_START
from penstock.model.block_documents import MASK
from penstock.model.reasons import Reason


@dataclass(frozen=True)
class ProcessRequest:
    """A process to be started. It inherits the agent's environment; `env` is set on top of it, `unset` is taken away.

    `cold_reason` says why a warm interpreter is out of the question, None if it is not. `cwd` None: a fresh folder.
    """

    name: str
    title: str
    attempt_id: UUID
    flow_run_id: UUID
    owner: str
    argv: tuple[str, ...]
    env: dict[str, str]
    unset: tuple[str, ...] = ()
    secret_env: dict[str, str] = field(default_factory=dict, repr=False)
    labels: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None
    cold_reason: str | None = None

    def to_text(self) -> str:
        """The request as a line of shell, with secrets masked."""
        shown = {**self.env, **dict.fromkeys(self.secret_env, MASK)}
        lines = [f"cd {shlex.quote(self.cwd)} &&"] if self.cwd else []
        lines += [f"unset {name};" for name in self.unset]
        lines += [f"{name}={shlex.quote(value)}" for name, value in shown.items()]
        return " \\\n".join([*lines, shlex.join(self.argv)])


def render(config: Process, job: Job) -> ProcessRequest:
    """The request for `job` with what `config` says. Raises `Unsupported` for what no process can have."""
    merged = with_block(job, config)
    argv = tuple(merged.command) or DEFAULT_COMMAND
    for name, value in {**merged.env, **merged.secret_env}.items():
        if not name or "=" in name or "\0" in name or (value is not None and "\0" in value):
            raise Unsupported(
                f"env: a process cannot have the variable {name!r}: names are not empty and hold no '=', and neither "
                "names nor values hold a NUL character.",
                reason=Reason.CONFIGURATION_INVALID,
            )
    if any("\0" in part for part in argv):
        raise Unsupported("command: it holds a NUL character.", reason=Reason.CONFIGURATION_INVALID)
    return ProcessRequest(
        name=merged.name,
        title=merged.title,
        attempt_id=merged.attempt_id,
        flow_run_id=merged.flow_run_id,
        owner=merged.owner,
        argv=argv,
        env={name: value for name, value in merged.env.items() if value is not None},
        unset=tuple(name for name, value in merged.env.items() if value is None),
        secret_env=dict(merged.secret_env),
        labels=merged.labels,
        cwd=os.path.expanduser(config.working_dir) if config.working_dir else None,
        cold_reason=_cold_reason(config, argv),
    )


def _cold_reason(config: Process, argv: tuple[str, ...]) -> str | None:
    if argv != DEFAULT_COMMAND:
        return "it has its own command"
    changed = sorted(name for name in config.env if name.startswith(READ_AT_START))
    return f"it changes {', '.join(changed)}, which an interpreter reads when it starts" if changed else None
