"""A YAML mapping as plain data that knows on which line each part of it stands, so that errors can say it.

Stricter than YAML, for files that people edit: a key that stands twice is an error, and a key is the text that was
written, be it `on` or `1`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.errors import ConfigurationError
from penstock.model.base import JSONObject

if TYPE_CHECKING:
    import yaml

Path = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_CODE = "deployment_file"


class Lines:
    """What a file holds: `values`, and where they stand. `source` is the file's name in errors."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.values: JSONObject = {}
        #: Path of keys and of items of lists -> line, from 1.
        self.places: dict[Path, int] = {}
        #: What was written for a number, since 1.10 and 1.1 are one number and two versions.
        self.numbers: dict[Path, str] = {}

    def line(self, path: Path, message: str = "") -> int:
        """The line, from 1, of what `message` is about: a key or value at or below `path` that it quotes, else `path`."""
        told = message.partition("Did you mean")[0]
        best = self._known(path)
        for place in self._below(path):
            names = {str(place[-1]), str(self.at(place))}
            quoted = any(repr(name) in told for name in names)
            quoted = quoted or f"{place[-1]}: " in told or f"{'.'.join(map(str, place))} " in told
            if quoted and len(place) > len(best):
                best = place
        return self.places.get(best, 1)

    def at(self, path: Path) -> Any:
        """The value at `path`; None if there is none."""
        found: Any = self.values
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def written(self, path: Path) -> Any:
        """The value at `path`, a number as the text that was written."""
        return self.numbers.get(path, self.at(path))

    def error(self, message: str, path: Path = (), hint: str | None = None) -> ConfigurationError:
        """The error that says `message` of what stands at `path`, or of the part of it that `message` quotes."""
        return ConfigurationError(f"{self.source}:{self.line(path, message)}: {message}", code=_CODE, hint=hint)

    def _known(self, path: Path) -> Path:
        while path and path not in self.places:
            path = path[:-1]
        return path

    def _below(self, path: Path) -> Iterator[Path]:
        return (place for place in self.places if place and place[: len(path)] == path)


def read(text: str, source: str) -> Lines:
    """The mapping in `text`. Raises ConfigurationError with the line if it is no YAML, no mapping, or says a key twice."""
    import yaml

    lines = Lines(source)
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is not None and not isinstance(root, yaml.MappingNode):
                raise lines.error("this is no mapping of names and values.")
            if root is not None:
                lines.values = _Reader(loader, lines).mapping(root, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else text.count("\n", 0, getattr(error, "position", 0)) + 1
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ConfigurationError(f"{source}:{line}: not valid YAML: {problem}", code=_CODE) from None
    return lines


class _Reader:
    """Turns the nodes of one document into data."""

    def __init__(self, loader: "yaml.SafeLoader", lines: Lines) -> None:
        self._loader, self._lines = loader, lines
        self._open: list[int] = []

    def mapping(self, node: "yaml.MappingNode", path: Path) -> JSONObject:
        import yaml

        self._open.append(id(node))
        found: JSONObject = {}
        merged: JSONObject = {}
        stands: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(source, yaml.MappingNode):
                        merged = {**self.mapping(source, path), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise self._at(line, "a key is a text, not a list or a mapping.")
            name = str(key.value)
            if name in stands:
                raise self._at(line, f"the key {name!r} stands twice here, first in line {stands[name]}.")
            stands[name] = line
            self._lines.places[(*path, name)] = line
            found[name] = self._value(value, (*path, name))
        self._open.pop()
        return {**merged, **found}

    def _value(self, node: "yaml.Node", path: Path) -> Any:
        import yaml

        if id(node) in self._open:
            raise self._at(node.start_mark.line + 1, "a value holds itself.")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._open.append(id(node))
            found = []
            for index, item in enumerate(node.value):
                self._lines.places[(*path, index)] = item.start_mark.line + 1
                found.append(self._value(item, (*path, index)))
            self._open.pop()
            return found
        if node.tag in _NUMBERS:
            self._lines.numbers[path] = str(node.value)
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            raise self._at(node.start_mark.line + 1, f"{node.value!r} cannot be read: {error}.") from None

    def _at(self, line: int, message: str) -> ConfigurationError:
        return ConfigurationError(f"{self._lines.source}:{line}: {message}", code=_CODE)
