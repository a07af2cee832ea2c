"""Spans of time as people say them. Pure."""


def seconds(count: float) -> str:
    """E.g. "5 s", "10 min", "2.5 h", "10 days"."""
    if count < 120:
        return f"{count:.0f} s"
    if count < 7200:
        return f"{count / 60:.0f} min"
    return f"{count / 3600:.1f} h" if count < 172_800 else f"{count / 86_400:.0f} days"
