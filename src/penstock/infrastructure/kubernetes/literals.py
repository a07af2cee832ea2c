"""Texts that Kubernetes would read references to variables in, ``$(NAME)``, and texts that mean what they say. Pure.

Kubernetes replaces ``$(NAME)`` in arguments and in values of variables, and makes one ``$`` of ``$$``. Commands and
variables of a block mean the same on every platform, so their dollars are doubled where it matters; those of a manifest
are Kubernetes's own and stay as they are.
"""

import re

_READ = re.compile(r"\$(?=[$(])")
_PAIR_OR_REFERENCE = re.compile(r"\$\$|\$\([^)]*\)")


def quoted(text: str) -> str:
    """`text` so that Kubernetes reads it as it is."""
    return _READ.sub("$$", text)


def unquoted(text: str) -> str | None:
    """What Kubernetes makes of `text`; None if that depends on other variables."""
    if any(part != "$$" for part in _PAIR_OR_REFERENCE.findall(text)):
        return None
    return text.replace("$$", "$")
