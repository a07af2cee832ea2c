"""What one command line gave."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str
