"""docs/storage.md: its snippets run, and its table is true."""

import re
import tomllib
from pathlib import Path

import pytest

from penstock import filesystems

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "storage.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: re.findall(r"^(\w+)\(", snippet, re.M)[-1])
@pytest.mark.usefixtures("penstock_server")
def test_a_snippet_of_the_page_saves_its_blocks(snippet: str) -> None:
    names: dict[str, object] = {}
    exec(compile(snippet, "docs/storage.md", "exec"), names)
    saved = re.findall(r"save\(\"([\w-]+)\"\)", snippet)
    kinds = re.findall(r"^(\w+)\(", snippet, re.M)
    for kind, name in zip(kinds, saved, strict=True):
        assert getattr(filesystems, kind).load(name).block_name == name


def test_every_storage_has_its_row_with_an_extra_that_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \|[^|]*\| ([^|]*)\|", PAGE, re.M)
    for name, slug, install in rows:
        assert getattr(filesystems, name).get_block_type_slug() == slug
        for extra in re.findall(r"penstock\[([\w-]+)\]", install):
            assert extra in extras
    pages = PAGE + "".join(page.read_text() for page in (ROOT / "docs").glob("git.md"))
    assert [name for name in filesystems.__all__ if f"| `{name}` |" not in pages] == []
