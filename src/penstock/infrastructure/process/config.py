"""The Process block: what you want of a local process."""

import os
import shlex
import sys
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from penstock.infrastructure.block import Infrastructure, mask_if_secret
from penstock.model.secret_texts import without_passwords

#: The package that runs flows. By name: who starts a program need not know it.
ENGINE = "penstock.engine"
#: The command of a job that says nothing else: the engine, on the agent's own interpreter.
DEFAULT_COMMAND = (sys.executable, "-m", ENGINE)


class Process(Infrastructure):
    """Runs the flow run in a local process, which goes on without the agent that started it.

    The process inherits the agent's environment, without Penstock's own settings but for those that jobs are meant to
    have, and without its profiles, which hold its key. It and every process below it end together: when its main
    process has ended, what it left behind is stopped too. A stop is SIGTERM to the process and its group, and SIGKILL
    to all of it after the grace. Processes survive a restart of the agent, also by a service manager that only stops
    the agent's own process (for systemd: ``KillMode=process``).
    """

    _block_type_name: ClassVar[str | None] = "Process"
    _block_type_slug: ClassVar[str | None] = "process"
    _code_example: ClassVar[str | None] = """
        from penstock.infrastructure import Process

        Process(env={"LEVEL": "debug"}).save("BLOCK_NAME")
    """

    type: Literal["process"] = Field(default="process", description="The type of infrastructure.")
    stream_output: bool = Field(default=True, description="Whether the agent shows the process's output in its own.")
    working_dir: str | None = Field(
        default=None,
        description="Folder that the process starts in; by default a fresh one that is removed with the job.",
    )

    @field_validator("working_dir", mode="before")
    @classmethod
    def _path_as_text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    def preview(self) -> str:
        """The process as a line of shell: its variables and its command.

        Values named like secrets and passwords in URLs are masked.
        """
        lines = [f"cd {shlex.quote(self.working_dir)} &&"] if self.working_dir else []
        lines += [f"unset {name};" for name, value in self.env.items() if value is None]
        lines += [
            f"{name}={shlex.quote(mask_if_secret(name, value) or '')}"
            for name, value in self.env.items()
            if value is not None
        ]
        return without_passwords(" \\\n".join([*lines, shlex.join(self.command or DEFAULT_COMMAND)]))
