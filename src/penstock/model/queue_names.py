"""Which work queues an agent means when it gives the beginning of their names, or a pattern. Imports nothing heavy."""

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


def matches(name: str, text: str) -> bool:
    """Whether `text` means the queue `name`: it fits the pattern, or begins so where `text` has no wildcard."""
    if not is_pattern(text):
        return name.startswith(text)
    return fnmatchcase(name, text.replace("[", "[[]"))
