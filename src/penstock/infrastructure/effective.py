"""From a saved block and what is laid over it to the infrastructure of one run, with the source of every value. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from penstock.blocks.registry import find_block
from penstock.blocks.schema import block_schema
from penstock.errors import ConfigurationError
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.override_places import Places
from penstock.infrastructure.overrides import Path, Sources, apply_overrides, read_overrides
from penstock.model.attempts import Claim, InfrastructureDocument
from penstock.model.base import JSONObject

#: Faults of numbers that are too large or too small.
_OF_SIZE = ("greater_than", "less_than", "finite_number")
#: Faults that say no more than that a value is of the wrong kind; the schema says which kind is right.
_OF_KIND = ("_type", "_parsing", "_from_float")


@dataclass(frozen=True)
class Layer:
    """Overrides that are laid over what is below. `place` says where they stand, in errors and explanations."""

    place: str
    overrides: Mapping[str, Any] | str | None


@dataclass(frozen=True)
class Effective:
    """The infrastructure of a run. `sources`: the paths that a layer has set, with that layer's place."""

    infrastructure: Infrastructure
    sources: Sources

    def sources_of(self, path: Path) -> str | None:
        """The places of the layers that have set what lies at `path`, or a part of it; None if none has."""
        return _source(path, self.sources)


def effective(slug: str, document: InfrastructureDocument | None, layers: Sequence[Layer]) -> Effective:
    """The infrastructure of type `slug` that `document` describes, or its defaults, with `layers` over it in their order.

    Raises ConfigurationError that names the place and the field.
    """
    block = infrastructure_class(slug)
    data, sources = _data_of(block, document), Sources()
    for layer in layers:
        if layer.overrides:
            schema = overridable(block)
            data = _with_defaults(block, data, layer, schema)
            data = apply_overrides(data, layer.overrides, schema, layer.place, sources)
    infrastructure = _build(block, data, sources)
    infrastructure._block_document_name = document.name if document else None
    return Effective(infrastructure, sources)


def layers_of(claim: Claim) -> list[Layer]:
    """What is laid over the infrastructure block of a claimed run: by its deployment, then by the run itself."""
    layers = []
    deployment = claim.deployment
    if deployment is not None:
        where = f"of deployment '{claim.flow.name}/{deployment.name}'"
        layers.append(Layer(f"infra_overrides {where}", deployment.infra_overrides))
        if deployment.job_variables != deployment.infra_overrides:
            layers.append(Layer(f"job_variables {where}", deployment.job_variables))
    layers.append(Layer(f"job_variables of flow run '{claim.flow_run.name}'", claim.flow_run.job_variables))
    return layers


def infrastructure_class(slug: str) -> type[Infrastructure]:
    """The block class of that type. Raises ConfigurationError if there is none, or if its blocks run nothing."""
    found = find_block(slug)
    if not issubclass(found, Infrastructure):
        raise ConfigurationError(
            f"A block of type {slug!r} is no infrastructure: it cannot run jobs.",
            hint="Use a block of an infrastructure type, such as process or docker-container.",
        )
    return found


@lru_cache(maxsize=64)
def overridable(block: type[Infrastructure]) -> JSONObject:
    """The schema by which overrides of that type are read: the block's, with what its fields hold described further.

    Not to be changed by who gets it. Kept, because making it takes longer than all the rest of a launch.
    """
    schema = block_schema(block)
    fields = {name: {**field, **block._override_schemas.get(name, {})} for name, field in schema["properties"].items()}
    return {**schema, "properties": fields}


def _data_of(block: type[Infrastructure], document: InfrastructureDocument | None) -> JSONObject:
    """The document's data as this version knows it. Raises ConfigurationError if it was saved by a newer one."""
    if document is None:
        return {}
    if document.version is None:
        return dict(document.data)
    return block.upgrade_data(dict(document.data), document.version)


def _with_defaults(block: type[Infrastructure], data: JSONObject, layer: Layer, schema: JSONObject) -> JSONObject:
    """`data` with the defaults of fields that it does not hold and that an override changes a part of."""
    missing = {
        assignment.path[0]
        for assignment in read_overrides(layer.overrides, schema, layer.place)
        if len(assignment.path) > 1 and assignment.path[0] not in data
    }
    fields = {name: block.model_fields[name] for name in missing}
    defaults = {
        name: to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in fields.items()
        if not field.is_required()
    }
    return {**defaults, **data}


def _build(block: type[Infrastructure], data: JSONObject, sources: Sources) -> Infrastructure:
    try:
        return block.model_validate(data)
    except ValidationError as error:
        slug, faults = block.get_block_type_slug(), error.errors(include_url=False)
        lines = [_line(block, fault, sources) for fault in faults]
        missing = [str(fault["loc"][0]) for fault in faults if fault["type"] == "missing" and len(fault["loc"]) == 1]
        raise ConfigurationError(
            f"The {slug} infrastructure cannot be used: {'; '.join(lines)}",
            hint=f"Say {' and '.join(missing)} in a saved block or in overrides." if missing else None,
        ) from None


def _line(block: type[Infrastructure], fault: Any, sources: Sources) -> str:
    """What is wrong with one value, and who has set it."""
    path = tuple(str(part) for part in fault["loc"])
    name = ".".join(path) or block.get_block_type_slug()
    said = str(fault["msg"]).removeprefix("Value error, ")
    if str(fault["type"]).startswith(_OF_SIZE):
        said = f"{said.replace('Input should be', 'it has to be')}, not {fault['input']!r}"
    place = _source(path, sources) if path else _sources_named_in(said, sources)
    if place is not None and str(fault["type"]).endswith(_OF_KIND):
        words = _words(block, path)
        said = f"it has to be {words}, not {fault['input']!r}" if words else f"{said}, not {fault['input']!r}"
    named = said if re.match(rf"{re.escape(name)}\b", said) else f"{name}: {said}"
    return f"{named} (set by {place})" if place is not None else named


def _sources_named_in(said: str, sources: Sources) -> str | None:
    """The places that have set the fields of which `said` speaks: those that only cannot be together."""
    named = {*re.findall(r"\w+", said)}
    found = [place for path, place in sources.items() if path[0] in named]
    return ", ".join(dict.fromkeys(found)) or None


def _words(block: type[Infrastructure], path: Path) -> str | None:
    schema = overridable(block)
    places = Places(schema)
    try:
        return places.words(places.lead(list(path), schema)[1])
    except ConfigurationError:
        return None


def _source(path: Path, sources: Sources) -> str | None:
    """The place that has set what lies at `path`, or parts of it."""
    found = [place for known, place in sources.items() if known[: len(path)] == path[: len(known)]]
    return ", ".join(dict.fromkeys(found)) or None
