"""Which files stay behind when a folder is stored: patterns that mean what they mean in .gitignore. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: Files of a folder that say what stays behind when it is stored; the first that is there counts.
IGNORE_FILES = (".penstockignore", ".prefectignore")
#: Left behind whatever the ignore file says: nobody wants them, and they are large.
ALWAYS_IGNORED = ("__pycache__/", ".git/")


@dataclass(frozen=True)
class _Pattern:
    expression: re.Pattern[str]
    keeps: bool
    only_folders: bool


class Ignore:
    """Patterns in order; the last one that fits a path decides. What lies in an ignored folder is ignored with it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [pattern for line in lines if (pattern := _parse(line)) is not None]

    def ignores(self, path: str, is_folder: bool = False) -> bool:
        """Whether `path`, relative and with ``/``, stays behind."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if self._decides("/".join(parts[:depth]), True):
                return True
        return self._decides(path, is_folder)

    def _decides(self, path: str, is_folder: bool) -> bool:
        for pattern in reversed(self._patterns):
            if (is_folder or not pattern.only_folders) and pattern.expression.fullmatch(path):
                return not pattern.keeps
        return False


def _parse(line: str) -> _Pattern | None:
    text = re.sub(r"(?<!\\) +$", "", line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text[1:] if keeps else text
    text = text[1:] if text[:2] in ("\\#", "\\!") else text
    only_folders = text.endswith("/")
    text = text.rstrip("/")
    if not text:
        return None
    anchored = "/" in text
    expression = _translate(text.lstrip("/"))
    return _Pattern(re.compile(expression if anchored else f"(?:.*/)?{expression}"), keeps, only_folders)


def _translate(text: str) -> str:
    out = ""
    position = 0
    while position < len(text):
        rest = text[position:]
        if rest.startswith("**/") and (position == 0 or text[position - 1] == "/"):
            out, position = out + "(?:.*/)?", position + 3
        elif rest == "**" and position > 0 and text[position - 1] == "/":
            out, position = out + ".+", position + 2
        elif rest[0] == "*":
            out, position = out + "[^/]*", position + 1
        elif rest[0] == "?":
            out, position = out + "[^/]", position + 1
        elif found := re.match(r"\[([!^]?)(\]?[^\]]*)\]", rest):
            negated, members = found.groups()
            escaped = members.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            out, position = out + f"[{'^' if negated else ''}{escaped}]", position + found.end()
        elif rest[0] == "\\" and len(rest) > 1:
            out, position = out + re.escape(rest[1]), position + 2
        else:
            out, position = out + re.escape(rest[0]), position + 1
    return out
