"""The deployment file: a YAML document whose upper part is meant to be edited, and whose lower part is not.

Pure: from plain data to text and back. What the fields mean is the business of `penstock.sdk.deployments`.
"""

from collections.abc import Mapping
from typing import Any

from penstock.errors import ConfigurationError, did_you_mean

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
#: Fields that describe the flow as it was found, in their order; a saved infrastructure block stands after the second.
GENERATED = ("flow_name", "manifest_path", "storage", "path", "entrypoint", "parameter_openapi_schema", "timestamp")
#: Fields that files written by later versions of Prefect 2 have besides.
FURTHER = ("schedules", "triggers", "enforce_parameter_schema")

_COMMENTS = {"work_queue_name": "# Agents that serve this work queue take the deployment's runs"}


def dump(values: Mapping[str, Any], *, saved_infrastructure: bool) -> str:
    """The file's text for `values`, which hold every field of EDITABLE and GENERATED and `infrastructure`."""
    upper = [*EDITABLE] if saved_infrastructure else [*EDITABLE, "infrastructure"]
    lower = [*GENERATED]
    if saved_infrastructure:
        lower.insert(2, "infrastructure")
    lower += [name for name in FURTHER if values.get(name)]
    parts = [
        f"###\n### The deployment {values['flow_name']}/{values['name']}\n"
        f"### Edit this part, then: penstock deployment apply FILE\n###\n"
    ]
    for name in upper:
        if name in _COMMENTS:
            parts.append(f"{_COMMENTS[name]}\n")
        parts.append(_block({name: values[name]}))
    parts.append("\n###\n### DO NOT EDIT BELOW THIS LINE: `penstock deployment build` writes it anew\n###\n")
    parts.append(_block({name: values[name] for name in lower}))
    return "".join(parts)


def _block(values: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, default_flow_style=False)
    return text


def parse(text: str, source: str) -> dict[str, Any]:
    """The fields of a deployment file. `source` names it in errors.

    Raises ConfigurationError with the line if it is no YAML, with the nearest name if a field does not exist.
    """
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source} is not valid YAML: {error}", code="deployment_file") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{source} does not hold a deployment.", code="deployment_file")
    known = {*EDITABLE, *GENERATED, *FURTHER, "infrastructure"}
    for name in found:
        if name not in known:
            raise ConfigurationError(
                f"{source}: a deployment has no field {name!r}.{did_you_mean(str(name), known)}", code="deployment_file"
            )
    for name in ("name", "flow_name"):
        if not found.get(name):
            raise ConfigurationError(f"{source}: the field {name!r} is missing.", code="deployment_file")
    return found
