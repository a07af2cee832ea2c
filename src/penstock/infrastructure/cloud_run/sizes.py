"""Regions, CPU and memory of Cloud Run as Google documents them. Pure."""

import re
import warnings

_REGION = re.compile(r"[a-z]+-[a-z]+\d{1,2}")
_ZONE = re.compile(rf"({_REGION.pattern})-[a-z]")
_MIB = 1024**2
_UNITS = {"G": 1000**3, "Gi": 1024**3, "M": 1000**2, "Mi": 1024**2}

#: What a task can have, as of 2025. What is larger is left to Google to judge, which has raised these limits before.
_CPUS = (1, 2, 4, 6, 8)
_LEAST_MEMORY = 512 * _MIB
_MOST_SECONDS = 7 * 24 * 3600
#: CPUs -> MiB of memory that they need at least
_MEMORY_OF_CPU = {4: 2048, 6: 4096, 8: 4096}
#: more MiB than this -> CPUs that they need at least, the largest first
_CPU_OF_MEMORY = ((24576, 8), (16384, 6), (8192, 4), (4096, 2))


def check_region(region: str) -> str:
    """`region` if it can be one. Raises ValueError that says what it has to look like."""
    if _REGION.fullmatch(region):
        return region
    zone = _ZONE.fullmatch(region)
    hint = f" That is a zone; its region is {zone[1]!r}." if zone else ""
    raise ValueError(f"region is {region!r}; it has to look like europe-west1.{hint}")


def memory_bytes(memory: int, unit: str) -> int:
    """`memory` of that unit in bytes."""
    return memory * _UNITS[unit]


def check_size(cpu: int | None, memory: int | None) -> None:
    """Raise ValueError with what is possible if no task can have so many CPUs and so many bytes of memory."""
    if cpu is not None and cpu not in _CPUS and cpu < _CPUS[-1]:
        near = min(_CPUS, key=lambda known: (abs(known - cpu), -known))
        raise ValueError(
            f"cpu is {cpu}; Cloud Run has tasks of {', '.join(map(str, _CPUS))} CPUs. The nearest is {near}."
        )
    if memory is None:
        return
    if memory < _LEAST_MEMORY:
        raise ValueError("memory: Cloud Run gives no task less than 512 Mi.")
    least = _MEMORY_OF_CPU.get(cpu or 0)
    if least is not None and memory < least * _MIB:
        raise ValueError(f"memory: {cpu} CPUs need {least} Mi at least.")
    for above, needed in _CPU_OF_MEMORY:
        if memory > above * _MIB:
            if (cpu or 1) < needed:
                raise ValueError(f"cpu: more than {above} Mi of memory need {needed} CPUs at least.")
            return


def warn_of_timeout(seconds: int) -> None:
    """Warn of a time that is longer than Cloud Run is known to let a task run."""
    if seconds > _MOST_SECONDS:
        warnings.warn(
            f"timeout is {seconds} seconds; Cloud Run is known to end a task after {_MOST_SECONDS} (7 days).",
            UserWarning,
            stacklevel=2,
        )
