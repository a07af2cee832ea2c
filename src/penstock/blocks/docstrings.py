"""What people are told about a block type, out of its class's docstring. Pure."""

import inspect
import re
import textwrap

_SECTION = re.compile(
    r"^(Args|Arguments|Attributes|Example|Examples|Note|Notes|Parameters|Raises|Returns|See Also|Yields):[ \t]*$",
    re.MULTILINE,
)
_EXAMPLES = ("Example", "Examples")


def description(docstring: str | None) -> str | None:
    """The docstring up to its first section ("Attributes:", "Example:" …): what stands there is told elsewhere."""
    if not docstring:
        return None
    text = inspect.cleandoc(docstring)
    section = _SECTION.search(text)
    return (text[: section.start()] if section else text).strip() or None


def example(docstring: str | None) -> str | None:
    """What stands in the docstring's section "Example:", without the indentation."""
    text = inspect.cleandoc(docstring) if docstring else ""
    found = [match for match in _SECTION.finditer(text) if match[1] in _EXAMPLES]
    if not found:
        return None
    following = _SECTION.search(text, found[0].end())
    body = text[found[0].end() : following.start() if following else len(text)]
    return textwrap.dedent(body).strip() or None
