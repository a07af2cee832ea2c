"""Change values in a YAML text, and leave all else as somebody wrote it: comments, order, quotes, blank lines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError
from penstock.model.base import JSONObject
from penstock.sdk import yaml_lines

if TYPE_CHECKING:
    import yaml


def dump(values: JSONObject) -> str:
    """`values` as YAML in block style, keys in their order."""
    import yaml

    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return text


def edit(text: str, before: JSONObject, after: JSONObject) -> str | None:
    """`text`, which means `before`, changed to mean `after`.

    What is equal in both stays as it is written, also where the text says it in other words or not at all. New keys
    follow those that they follow in `after`; keys that it has not are taken out. None if the text is written in a way in
    which that cannot be done, such as all in one line.
    """
    import yaml

    old = yaml_lines.read(text, "").values
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return None
    edits = _Edits(text)
    wanted = edits.mapping(node, old, before, after)
    result = edits.applied()
    try:
        return result if yaml_lines.read(result, "").values == wanted else None
    except ConfigurationError:
        return None


@dataclass(frozen=True)
class _Entry:
    """One key of a mapping with its value, and where the text of both ends."""

    key: "yaml.ScalarNode"
    value: "yaml.Node"
    end: int


class _Edits:
    """Changes of one text, collected, then made all at once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._changes: list[tuple[int, int, int, str]] = []

    def applied(self) -> str:
        text = self._text
        # Backwards, so that places stay right; of those at one place the last one first, so that they keep their order.
        for start, end, _, new in sorted(self._changes, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def mapping(self, node: "yaml.MappingNode", old: JSONObject, before: JSONObject, after: JSONObject) -> JSONObject:
        """Note what has to change in the mapping `node`, which reads as `old`. Returns what it shall read as then."""
        import yaml

        indent = node.value[0][0].start_mark.column
        entries = {key.value: _Entry(key, value, self._end_of(value)) for key, value in node.value}
        wanted: JSONObject = {}
        for name, entry in entries.items():
            if name not in after:
                self._change(self._line_start(entry.key.start_mark.index), self._next_line(entry.end), "")
            elif before.get(name) == after[name] and _same_kind(before.get(name), after[name]):
                wanted[name] = old[name]
            elif _is_block(entry.value) and _filled(before.get(name)) and _filled(after[name]):
                assert isinstance(entry.value, yaml.MappingNode)
                wanted[name] = self.mapping(entry.value, old[name], before[name], after[name])
            else:
                self._replace(entry, name, after[name], indent)
                wanted[name] = after[name]
        self._insert(entries, before, after, indent, node, wanted)
        return wanted

    def _insert(
        self,
        entries: dict[str, _Entry],
        before: JSONObject,
        after: JSONObject,
        indent: int,
        node: "yaml.MappingNode",
        wanted: JSONObject,
    ) -> None:
        place = self._line_start(node.value[0][0].start_mark.index)
        for name, value in after.items():
            if name in entries:
                place = self._next_line(entries[name].end)
            elif name not in before or before[name] != value:
                break_ = "" if place == 0 or self._text[place - 1] == "\n" else "\n"
                self._change(place, place, break_ + _indented(dump({name: value}), indent))
                wanted[name] = value

    def _replace(self, entry: _Entry, name: str, value: Any, indent: int) -> None:
        start = entry.key.start_mark.index
        lines = _indented(dump({name: value}), indent)[indent:].removesuffix("\n").split("\n")
        lines[0] = (
            self._text[start : entry.key.end_mark.index] + lines[0][len(dump({name: None}).removesuffix(": null\n")) :]
        )
        end = self._line_end(entry.end)
        comment = self._comment(entry, end)
        self._change(start, end, "\n".join([lines[0] + comment, *lines[1:]]))

    def _comment(self, entry: _Entry, end: int) -> str:
        """The comment on the line of the key, with the space before it."""
        key_line_end = self._line_end(entry.key.start_mark.index)
        if key_line_end == end:
            found = self._text[entry.end : end]
        elif entry.value.start_mark.line > entry.key.start_mark.line:
            found = self._text[entry.key.end_mark.index : key_line_end].lstrip().removeprefix(":")
        else:
            return ""
        return f"  {found.strip()}" if found.strip().startswith("#") else ""

    def _end_of(self, node: "yaml.Node") -> int:
        """Where the text of a value ends: comments and blank lines after it do not belong to it."""
        import yaml

        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            if not isinstance(last, tuple):
                return self._end_of(last)
            key, value = last
            return max(int(key.end_mark.index), self._end_of(value))
        start: int = node.start_mark.index
        return start + len(self._text[start : node.end_mark.index].rstrip())

    def _change(self, start: int, end: int, new: str) -> None:
        self._changes.append((start, end, len(self._changes), new))

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        found = self._text.find("\n", index)
        return len(self._text) if found < 0 else found

    def _next_line(self, index: int) -> int:
        return min(self._line_end(index) + 1, len(self._text))


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def _is_block(node: "yaml.Node") -> bool:
    import yaml

    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _filled(value: Any) -> bool:
    return isinstance(value, dict) and bool(value)


def _same_kind(one: Any, other: Any) -> bool:
    """Whether two equal values are equal in YAML too: true is not 1 there."""
    return isinstance(one, bool) == isinstance(other, bool)
