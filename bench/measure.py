"""How things are measured: CPU and wall time of programs, percentiles, resident memory, and the table of figures."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report. `ratio` compares with `against`; `within` is None where the budget does not speak."""

    name: str
    value: float
    unit: str
    budget: str = ""
    within: bool | None = None
    ratio: float | None = None
    against: str = ""

    def line(self) -> str:
        verdict = {True: "ok", False: "OVER", None: ""}[self.within]
        beside = f"{self.ratio:8.2f} x {self.against}" if self.ratio is not None else ""
        return f"{self.name:<46}{self.value:>10.2f} {self.unit:<8}{self.budget:<16}{verdict:<6}{beside}"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of either system, and with compiled code kept, as on a user's machine."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PREFECT_"))}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**clean, **(extra or {})}


def cpu_and_wall(
    command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None
) -> tuple[float, float]:
    """Seconds of CPU (user and system, children included) and of wall time of one run of `command`."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, env=environment(env), cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def median(measure: Callable[[], float], times: int = 9) -> float:
    measure()  # warms the disk cache
    return statistics.median(measure() for _ in range(times))


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {os.uname().sysname} {os.uname().release}"
