"""Writes the generated pages of docs/ anew: `.venv/bin/python scripts/document.py`. A test fails while one is not current."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def field_table(schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """The fields of a block, or of an object within one. `root` is the schema of the block."""
    from penstock.blocks import registry
    from penstock.cli.block_fields import fields_of

    own = {block.get_block_type_slug() for block in registry.own_blocks()}
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    fields = fields_of(schema, root)
    for field in fields:
        default = "required" if field.required else f"`{cell(field.default_text)}`" if field.default_text else ""
        kind = "".join(
            [field.type, f"; {field.constraints}" if field.constraints else "", "; secret" if field.secret else ""]
        )
        for slug in own.intersection(field.slugs):
            kind = kind.replace(f"{slug} block", f"[{slug}]({slug}.md) block")
        lines.append(f"| `{field.name}` | {cell(kind)} | {default} | {cell(field.meaning)} |")
    return lines


def objects_below(schema: Any, root: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of fixed fields that `schema` holds, by name; those of the blocks that it holds are on their pages."""
    if isinstance(schema, list):
        return {name: found for item in schema for name, found in objects_below(item, root).items()}
    if not isinstance(schema, dict):
        return {}
    found: dict[str, dict[str, Any]] = {}
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    definition = (root.get("definitions") or {}).get(name, {})
    if "properties" in definition and "block_type_slug" not in definition:
        found = {name: definition, **objects_below(definition["properties"], root)}
    for key, item in schema.items():
        if key != "definitions":
            found |= objects_below(item, root)
    return found


def block_type(block: Any) -> str:
    """The page of one type of blocks, told from its class."""
    from penstock.blocks import schema

    slug, fields = block.get_block_type_slug(), schema.block_schema(block)
    description = (block.get_description() or "").replace("``", "`")
    abilities = ", ".join(f"`{name}`" for name in sorted(block.get_block_capabilities()))
    lines = [f"# {block.get_block_type_name()}", "", description, "", "| | |", "|---|---|", f"| type | `{slug}` |"]
    lines.append(f"| class | `{block.__module__}.{block.__name__}` |")
    if abilities:
        lines.append(f"| capabilities | {abilities} |")
    if block._documentation_url:
        lines.append(f"| more | <{block._documentation_url}> |")
    lines += ["", *field_table(fields, fields)]
    for name, below in objects_below(fields, fields).items():
        lines += ["", f"## {name}", "", *field_table(below, fields)]
    example = block.get_code_example()
    if example:
        lines += ["", "```python", example, "```"]
    lines += ["", f"On the command line: `penstock block create {slug} --name NAME`. See [blocks](../blocks.md)."]
    return "\n".join(lines) + "\n"


def block_types() -> dict[str, str]:
    """The pages of all types that come with Penstock, and the one that lists them."""
    from penstock.blocks import registry

    blocks = registry.own_blocks()
    lines = [
        "# Types of blocks",
        "",
        "Those that come with Penstock. [Blocks](../blocks.md) says what a block is, [your own type](../your-own-block.md) how to write",
        "another.",
        "",
        "| type | what it is |",
        "|---|---|",
    ]
    for block in blocks:
        slug = block.get_block_type_slug()
        first = (block.get_description() or "").split("\n\n")[0].replace("``", "`")
        lines.append(f"| [{block.get_block_type_name()}]({slug}.md) | {cell(first)} |")
    found = {"index.md": "\n".join(lines) + "\n"}
    return found | {f"{block.get_block_type_slug()}.md": block_type(block) for block in blocks}


def pages() -> dict[str, Callable[[], str]]:
    from penstock.server.rules import document, reasons

    return {"settings.md": settings, "states.md": document.document, "reasons.md": reasons.document}


if __name__ == "__main__":
    for name, write in pages().items():
        (DOCS / name).write_text(write())
    kept = block_types()
    for page in (DOCS / "block-types").glob("*.md"):
        if page.name not in kept:
            page.unlink()
    (DOCS / "block-types").mkdir(exist_ok=True)
    for name, text in kept.items():
        (DOCS / "block-types" / name).write_text(text)
