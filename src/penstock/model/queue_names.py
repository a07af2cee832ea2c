"""Which work queues an agent means when it gives the beginning of their names, or a pattern. Imports nothing heavy."""

from collections.abc import Collection
from fnmatch import fnmatchcase

#: What makes a text a pattern: any number of characters, any one character.
WILDCARDS = "*?"


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in WILDCARDS)


def literal_start(text: str) -> str:
    """The beginning of `text` before its first wildcard: every name that it means begins so."""
    for place, sign in enumerate(text):
        if sign in WILDCARDS:
            return text[:place]
    return text


def serves(queue: tuple[str, str], pools: Collection[str], names: Collection[str], matching: Collection[str]) -> bool:
    """Whether an agent that has named these takes runs from `queue`, its pool and name; one that names no queue takes
    from all of its pools."""
    pool, name = queue
    if pool not in pools:
        return False
    return (not names and not matching) or name in names or any(matches(name, text) for text in matching)


def matches(name: str, text: str) -> bool:
    """Whether `text` means the queue `name`: it fits the pattern, or begins so where `text` has no wildcard."""
    if not is_pattern(text):
        return name.startswith(text)
    return fnmatchcase(name, text.replace("[", "[[]"))
