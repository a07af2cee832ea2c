"""Fields that take one of a few words: spelt a little differently they are understood, else the nearest is named. Pure."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

from penstock.errors import nearest


def read_choice(value: Any, choices: type[Enum] | Iterable[str]) -> Any:
    """The one of `choices` that `value` means, whatever its case and whatever stands between its words.

    What is no text is returned as it is, for pydantic to judge. Raises ValueError with the nearest word and all of them.
    """
    if not isinstance(value, str) or isinstance(value, Enum):
        return value
    words: dict[str, Any] = {}
    if isinstance(choices, type):
        for member in choices:
            words[_bare(member.name)] = words[_bare(str(member.value))] = member
    else:
        words = {_bare(choice): choice for choice in choices}
    if _bare(value) in words:
        return words[_bare(value)]
    found = nearest(_bare(value), words)
    hint = f" Did you mean {_text(words[found])!r}?" if found else ""
    known = ", ".join(dict.fromkeys(_text(choice) for choice in words.values()))
    raise ValueError(f"there is no {value!r}.{hint} It is one of {known}.")


def _bare(text: str) -> str:
    return re.sub(r"[\s_-]", "", text).lower()


def _text(choice: Any) -> str:
    return str(choice.value) if isinstance(choice, Enum) else str(choice)
