"""What can be tried of a Process block before anything runs."""

import os
import shutil

from penstock.infrastructure.base import Finding
from penstock.infrastructure.process.config import DEFAULT_COMMAND, Process


def check_command(config: Process) -> Finding:
    """Whether the command is there and may be run. PATH is the block's, else the agent's."""
    command = (config.command or DEFAULT_COMMAND)[0]
    path = config.env.get("PATH") or os.environ.get("PATH")
    found = shutil.which(command, path=path)
    return Finding(
        tried=f"the command {command}",
        ok=found is not None,
        said=f"found as {found}" if found else f"not found in PATH ({path})",
        fix="" if found else "Give its whole path, or put its folder into PATH in the block's env.",
    )


def check_folder(config: Process) -> Finding:
    """Whether a process can start in the working directory."""
    if config.working_dir is None:
        return Finding(tried="the working directory", ok=True, said="a fresh one for each run")
    folder = os.path.abspath(os.path.expanduser(config.working_dir))
    ok = os.path.isdir(folder) and os.access(folder, os.X_OK)
    return Finding(
        tried=f"the working directory {folder}",
        ok=ok,
        said="can be entered" if ok else "does not exist, or may not be entered by the agent's user",
        fix="" if ok else "Create it on the agent's machine, or change working_dir.",
    )
