"""The last word on a Job's manifest: JSON patches (RFC 6902) and strategic merge patches, in one list. Pure.

An item with an ``op`` is an operation of a JSON patch; any other is a part of the manifest that is merged into it.
"""

import copy
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from penstock.errors import did_you_mean
from penstock.infrastructure.kubernetes import fields, manifest, owned
from penstock.infrastructure.kubernetes.consistency import check_consistency
from penstock.infrastructure.kubernetes.merge import check_merge, merged
from penstock.infrastructure.patches import apply_operation, plain_patches, read_operation, try_operation
from penstock.model.base import JSONObject

_FIELD = "customizations"
#: What a manifest has at its top that a patch may speak of.
_PARTS = ("apiVersion", "kind", "metadata", "spec")


def read_customizations(value: Any) -> list[JSONObject]:
    """A list of patches from a list, one merge patch, a `jsonpatch.JsonPatch`, or the JSON or YAML text of any of these.

    Raises ValueError that names the item and what is wrong with it.
    """
    value = plain_patches(value)
    if isinstance(value, Mapping):
        if "op" in value or "path" in value:
            raise ValueError("operations are given as a list; put this one into [ ].")
        value = [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list of operations is needed, or a part of the manifest, not {type(value).__name__}.")
    return [_item(item, index) for index, item in enumerate(value)]


#: The type of the field that holds them.
Customizations = Annotated[
    list[JSONObject], BeforeValidator(read_customizations), Field(json_schema_extra={"format": "rfc6902"})
]


def check_customizations(items: list[JSONObject], shape: JSONObject) -> None:
    """Try the patches on `shape`, a manifest in which everything is in place, though not with its value.

    Raises ValueError that names the patch and the place if one of them cannot be, or if what comes out of them is no Job
    that Kubernetes takes, that runs a flow and that is found again.
    """
    current = copy.deepcopy(shape)
    for index, item in enumerate(items):
        place = f"{_FIELD}[{index}]"
        current = try_operation(item, current, place) if "op" in item else merged(current, item)
        try:
            manifest.read_manifest(current)
            fields.refuse_slips(current)
            manifest.check_images(current)
            owned.refuse_loss_of_shape(current)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    try:
        check_consistency(current)  # one patch may name what the next one brings
    except ValueError as error:
        raise ValueError(f"{_FIELD}: {error}") from None


def customized(items: list[JSONObject], document: JSONObject) -> JSONObject:
    """`document` with the patches applied. Raises `Unsupported` that names the one that does not fit."""
    for index, item in enumerate(items):
        document = apply_operation(item, document, f"{_FIELD}[{index}]") if "op" in item else merged(document, item)
    return document


def _item(item: Any, index: int) -> JSONObject:
    if not isinstance(item, Mapping) or "op" in item or "path" in item or not item:
        return read_operation(item, index)
    for name in item:
        if name not in _PARTS:
            hint = did_you_mean(str(name), (*_PARTS, "op"))
            raise ValueError(
                f"item {index}: a Job's manifest has no {name!r}.{hint} An item is an operation with 'op', 'path' and "
                "'value', or a part of the manifest: {'spec': {…}}."
            )
    check_merge(item, f"item {index}")
    return dict(item)
