"""Writes the generated pages of docs/ anew: `.venv/bin/python scripts/document.py`. A test fails while one is not current."""

from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def settings() -> str:
    from penstock.settings import SETTINGS

    lines = [
        "# Settings",
        "",
        "A setting is read from the environment, else from the active profile (`penstock config set`, `penstock profile use`), else it has its",
        "default. `penstock config view` shows the values and where each comes from. Jobs get from their agent only those marked so, and only",
        "where they were set.",
        "",
        "| setting | default | meaning | jobs |",
        "|---|---|---|---|",
    ]
    for setting in sorted(SETTINGS.values(), key=lambda s: s.name):
        default = "" if setting.default is None or setting.default == "" else f"`{setting.default}`"
        meaning = setting.meaning + (" Secret." if setting.secret else "")
        lines.append(f"| `{setting.name}` | {default} | {meaning} | {'yes' if setting.for_jobs else ''} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[str, Callable[[], str]]:
    from penstock.server.rules import document, reasons

    return {"settings.md": settings, "states.md": document.document, "reasons.md": reasons.document}


if __name__ == "__main__":
    for name, write in pages().items():
        (DOCS / name).write_text(write())
