"""The deployment file: a YAML document whose upper part is meant to be edited, and whose lower part is not.

Pure: from plain data to text. What a file says is read by `penstock.sdk.deployment_file`.
"""

import re
from collections.abc import Mapping
from typing import Any

from penstock.model.base import JSONObject
from penstock.sdk import yaml_edits

#: Fields meant to be edited, in their order; `infrastructure` follows them unless it is a saved block.
EDITABLE = (
    "name",
    "description",
    "version",
    "work_queue_name",
    "work_pool_name",
    "tags",
    "parameters",
    "schedule",
    "is_schedule_active",
    "infra_overrides",
)
#: Fields meant to be edited that are only written where they are set, and what each of them follows.
IF_SET = {"schedules": "schedule", "concurrency_limit": "is_schedule_active"}
#: Fields that describe the flow as it was found, in their order; a saved infrastructure block stands after the second.
GENERATED = ("flow_name", "manifest_path", "storage", "path", "entrypoint", "parameter_openapi_schema", "timestamp")
#: What the flow itself said of the fields that are its own unless somebody edits them: see `edited`.
BUILT_FROM = "built_from"
#: Fields that files written by later versions of Prefect 2 have besides.
FURTHER = ("triggers", "enforce_parameter_schema")

KNOWN = (*EDITABLE, *IF_SET, "infrastructure", *GENERATED, *FURTHER, BUILT_FROM)

_COMMENTS = {"work_queue_name": "# Agents that serve this work queue take the deployment's runs"}
_BANNER = "\n###\n### DO NOT EDIT BELOW THIS LINE: `penstock deployment build` writes it anew\n###\n"
_BANNER_OF_ANYBODY = re.compile(r"\n*^(?:###[ \t]*\n)?#+[^\n]*DO NOT EDIT BELOW[^\n]*\n(?:###[ \t]*\n)?", re.MULTILINE)


def dump(values: Mapping[str, Any], *, saved_infrastructure: bool) -> str:
    """The file's text for `values`, which hold every field of EDITABLE and GENERATED and `infrastructure`."""
    parts = [
        f"###\n### The deployment {values['flow_name']}/{values['name']}\n"
        f"### Edit this part, then: penstock deployment apply FILE\n###\n"
    ]
    for name in _upper(values, saved_infrastructure):
        if name in _COMMENTS:
            parts.append(f"{_COMMENTS[name]}\n")
        parts.append(yaml_edits.dump({name: values[name]}))
    return "".join([*parts, _BANNER, _lower(values, saved_infrastructure)])


def edit(text: str, before: Mapping[str, Any], values: Mapping[str, Any], *, saved_infrastructure: bool) -> str:
    """`text`, the file of a deployment that means `before`, for `values`: as `dump`, but for what a person wrote.

    Comments, order, quotes and blank lines of the upper part stay. The lower part is written anew.
    """
    upper = text[: found.start()] + "\n" if (found := _BANNER_OF_ANYBODY.search(text)) else text
    old, new = ({name: part[name] for name in _upper(part, saved_infrastructure)} for part in (before, values))
    for name in IF_SET:  # what is not set may still be written: as null, as an empty list
        if name not in new and re.search(rf"^{name}:", upper, re.MULTILINE) and before.get(name) == values.get(name):
            old[name] = new[name] = values.get(name)
    if not re.search("^infrastructure:", upper, re.MULTILINE):  # it stood in the lower part
        old.pop("infrastructure", None)
    edited = yaml_edits.edit(upper, old, new)
    if edited is None:
        return dump(values, saved_infrastructure=saved_infrastructure)
    return edited.rstrip("\n") + "\n" + _BANNER + _lower(values, saved_infrastructure)


def _upper(values: Mapping[str, Any], saved_infrastructure: bool) -> list[str]:
    names = [*EDITABLE] if saved_infrastructure else [*EDITABLE, "infrastructure"]
    for name, above in IF_SET.items():
        if values.get(name) not in (None, []):
            names.insert(names.index(above) + 1, name)
    return names


def _lower(values: Mapping[str, Any], saved_infrastructure: bool) -> str:
    names = [*GENERATED]
    if saved_infrastructure:
        names.insert(2, "infrastructure")
    names += [name for name in (*FURTHER, BUILT_FROM) if values.get(name) not in (None, [])]
    return yaml_edits.dump({name: values[name] for name in names})


def edited(name: str, values: JSONObject) -> bool:
    """Whether somebody changed the field `name`, which the flow itself says something of, in the file's `values`."""
    if name not in values:
        return False
    if BUILT_FROM in values:
        return bool(values[name] != (values[BUILT_FROM] or {}).get(name))
    # A file of Prefect 2 does not say. Its versions are hashes unless somebody gave one.
    generated = values[name] is None or (name == "version" and re.fullmatch("[0-9a-f]{32}", str(values[name])))
    return not generated
