"""Serializers of results, under the module name that users of Prefect 2 know."""

from penstock.results.json_objects import decode_object as penstock_json_object_decoder
from penstock.results.json_objects import encode as penstock_json_object_encoder
from penstock.results.serializers import (
    CompressedJSONSerializer,
    CompressedPickleSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    Serializer,
)

__all__ = [
    "CompressedJSONSerializer",
    "CompressedPickleSerializer",
    "CompressedSerializer",
    "JSONSerializer",
    "PickleSerializer",
    "Serializer",
    "penstock_json_object_decoder",
    "penstock_json_object_encoder",
]
