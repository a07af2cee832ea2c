"""What a check found: the one shape in which blocks and drivers say what they tried."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that a check tried. `said` is what the other side answered; `fix` what to do when `ok` is False."""

    tried: str
    ok: bool
    said: str = ""
    fix: str = ""
