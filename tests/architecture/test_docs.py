"""The documents speak of things that exist."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
SOURCE = ROOT / "src" / "penstock"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []


@pytest.mark.parametrize("page", ["docs/journey.md", "docs/architecture.md", "docs/infrastructure-process.md"])
def test_every_file_of_ours_that_a_page_names_is_there(page: str):
    named = set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)+\.(?:py|json))`", (ROOT / page).read_text()))
    assert named
    assert [name for name in sorted(named) if not (SOURCE / name).exists()] == []


@pytest.fixture(scope="module")
def generator() -> Any:
    """The module scripts/document.py."""
    spec = importlib.util.spec_from_file_location("document", ROOT / "scripts" / "document.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_current(generator: Any):
    assert (ROOT / "docs" / "settings.md").read_text() == generator.settings(), (
        "run .venv/bin/python scripts/document.py"
    )


def test_there_is_a_current_page_for_each_type_of_blocks(generator: Any):
    wanted: dict[str, str] = generator.block_types()
    kept = {page.name: page.read_text() for page in (ROOT / "docs" / "block-types").iterdir()}
    assert sorted(kept) == sorted(wanted), "run .venv/bin/python scripts/document.py"
    assert [name for name in wanted if kept[name] != wanted[name]] == [], "run .venv/bin/python scripts/document.py"


def test_every_field_of_every_type_of_blocks_says_what_it_means(generator: Any):
    silent = [
        f"{name}: {line}"
        for name, page in generator.block_types().items()
        for line in page.splitlines()
        if line.startswith("| `") and line.endswith("|  |")
    ]
    assert silent == []


def test_the_version_has_a_changelog_entry():
    import penstock

    assert re.search(rf"^## {re.escape(penstock.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_package_and_project_have_one_version():
    import tomllib

    import penstock

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == penstock.__version__
