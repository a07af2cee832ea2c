"""What of the agent's environment a local process inherits."""

from collections.abc import Mapping

from penstock import settings
from penstock.infrastructure.variables import INTERNAL_PREFIX

#: Settings that say where things are on this machine, which its processes share.
_SHARED = {"PENSTOCK_HOME"}
_LAUNCHERS = ["PENSTOCK_LAUNCHER_WARM", "PENSTOCK_LAUNCHER_IDLE_SECONDS"]


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without Penstock's settings that are not meant for jobs, and without those of another job.

    The agent's profiles hold its key. A job asks none: all it needs is in its environment.
    """
    kept = {name: value for name, value in environment.items() if _is_for_jobs(name)}
    kept["PENSTOCK_PROFILES_PATH"] = "/dev/null"
    return kept


def of_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """What a launcher is started with: what jobs inherit, for they can read it, and its own settings."""
    return {**inherited(environment), **{name: str(settings.get(name)) for name in _LAUNCHERS}}


def _is_for_jobs(name: str) -> bool:
    if name.startswith(INTERNAL_PREFIX):
        return False
    setting = settings.SETTINGS.get(name)
    return setting is None or setting.for_jobs or name in _SHARED
