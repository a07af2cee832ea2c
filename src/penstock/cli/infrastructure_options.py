"""Infrastructure as it is asked for on the command line: a saved block, or a type and what its block cannot be without."""

from typing import Any

from penstock.cli.errors import UsageProblem
from penstock.errors import ConfigurationError

#: What types are called for short, on the command line only: by the words that their extras have.
SHORT = {
    "docker": "docker-container",
    "kubernetes": "kubernetes-job",
    "ecs": "ecs-task",
    "cloud-run": "cloud-run-job",
    "aci": "azure-container-instance-job",
}


def type_meant(word: str) -> str:
    """The slug of the type that was typed, in full or for short. Raises UsageProblem with the nearest."""
    from penstock.infrastructure.registry import slug_of

    try:
        return slug_of(SHORT.get(word, word))
    except ConfigurationError as error:
        raise UsageProblem(error.message, hint=error.hint) from None


def new_infrastructure(word: str, overrides: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """A new infrastructure block of the type that `word` means, and the overrides that are left.

    Fields that such a block cannot be without are taken out of the overrides. Raises UsageProblem with the nearest type,
    or that says which field is missing; ConfigurationError about a value.
    """
    from penstock.sdk import block_data

    slug = type_meant(word)
    needed, secret = required_fields(slug)
    missing = [name for name in needed if name not in overrides]
    if secret:
        raise UsageProblem(
            f"{slug} needs {' and '.join(sorted({*missing, *secret}))}, and what is secret belongs into a block.",
            hint=f"Save one (penstock block create {slug}), then build with -ib {slug}/NAME.",
        )
    if missing:
        given = " ".join(f"--override {name}=…" for name in missing)
        raise UsageProblem(
            f"{slug} needs {' and '.join(missing)}.", hint=f"Add {given}, or use a saved block with -ib."
        )
    values = {name: overrides[name] for name in needed}
    rest = {name: value for name, value in overrides.items() if name not in values}
    return block_data.read(slug, values, "--override"), rest


def infrastructure_meant(word: str, overrides: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """What ``--on`` names: the saved block ``TYPE/NAME``, else a new one of a type; and the overrides that are left.

    Raises as `new_infrastructure` does; NotFound if there is no such block.
    """
    from penstock.sdk import block_data

    kind, slash, name = word.partition("/")
    if not slash:
        return new_infrastructure(word, overrides)
    return block_data.saved(f"{type_meant(kind)}/{name}", "--on"), overrides


def read_overrides(infrastructure: Any, texts: dict[str, str]) -> dict[str, Any]:
    """KEY=VALUE options as overrides of that block: in a manifest, where no schema says what belongs, JSON is meant."""
    from penstock.infrastructure.effective import infrastructure_class, overridable
    from penstock.infrastructure.overrides import read_texts

    return read_texts(texts, overridable(infrastructure_class(infrastructure.get_block_type_slug())))


def required_fields(slug: str) -> tuple[list[str], list[str]]:
    """The fields that a block of that type cannot be without, and those of them that are secret."""
    from penstock.blocks.registry import find_block
    from penstock.blocks.schema import block_schema

    fields = block_schema(find_block(slug))
    needed = list(fields.get("required", []))
    return needed, [name for name in needed if name in fields["secret_fields"]]
