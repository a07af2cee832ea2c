"""Every type of block that comes with Penstock is loaded as it was saved, whatever its fields hold."""

import enum
import types
import typing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from wire import Api

from penstock.blocks import registry
from penstock.blocks.base import Block
from penstock.blocks.fields import SecretDict

#: Texts of the forms that fields may demand. Those for secrets can be told wherever they come to light.
FORMS = (
    "https://example.com/x",
    "someone@example.com",
    "+4915112345678",
    "us-east-1",
    "registry.example.com/image:1",
    "memory://folder",
    "bucket-name/folder",
    "name-1",
    "${env:HOME}",
    "https://github.com/owner/repository",
    "00000000-0000-0000-0000-000000000000",
)
SECRET_FORMS = (
    "PLANTED",
    "https://example.com/PLANTED",
    "PLANTEDPLANTEDPLANTEDPLANTEDPLANTED",
    "00000000-0000-0000-0000-000000000000",
)
#: What must fit together in types whose fields depend on each other.
SEEDS: dict[str, dict[str, Any]] = {
    "kubernetes-cluster-config": {
        "config": {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": "https://example.com"}}],
            "users": [{"name": "u", "user": {"token": "PLANTED"}}],
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "a",
        },
        "context_name": "a",
    },
    "bundle": {"digest": f"sha256:{'0123456789abcdef' * 4}"},
}
plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00*"), max_size=12)
texts = st.sampled_from(FORMS) | plain_text
secret_texts = st.sampled_from(SECRET_FORMS) | plain_text.map(lambda text: f"PLANTED{text}")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | plain_text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(plain_text, inner, max_size=2),
    max_leaves=4,
)


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type may hold; some of them may be refused by the class."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(arguments[0])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([_values(argument) for argument in arguments])
    if origin in (list, tuple, set):
        return st.lists(_values(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(st.from_regex("[A-Za-z]{1,8}", fullmatch=True), _values(arguments[1]), max_size=2)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        type(None): st.none(),
        bool: st.booleans(),
        int: st.integers(0, 4096),
        float: st.floats(0.1, 4096, allow_nan=False),
        str: texts,
        SecretStr: secret_texts.map(SecretStr),
        SecretBytes: secret_texts.map(lambda text: SecretBytes(text.encode())),
        SecretDict: st.dictionaries(plain_text.filter(bool), secret_texts, max_size=2).map(SecretDict),
        datetime: st.datetimes(timezones=st.just(UTC)),
    }
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return st.sampled_from(list(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Block) and annotation.is_base():
        return (
            st.sampled_from(registry.own_blocks()).filter(lambda block: issubclass(block, annotation)).flatmap(_blocks)
        )
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _blocks(annotation)
    return json_values


@st.composite
def _blocks(draw: st.DrawFn, model: type[BaseModel]) -> Any:
    """An instance of a block class or of another model: drawn values as far as the class takes them."""
    seed = SEEDS.get(model.get_block_type_slug(), {}) if issubclass(model, Block) else {}
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    optional = [name for name in model.model_fields if name not in required]
    chosen = required | set(draw(st.lists(st.sampled_from(optional), max_size=6)) if optional else [])
    data = {
        name: seed[name] if name in seed else draw(_values(model.model_fields[name].annotation))
        for name in sorted(chosen)
    }
    for _ in range(40):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            wrong = {fault["loc"][0] for fault in error.errors() if fault["loc"]} & set(data)
            # what concerns all fields together is cured by taking optional ones away
            for name in wrong or set(data) - required or required - set(seed):
                if name in required:
                    data[name] = draw(_values(model.model_fields[name].annotation))
                else:
                    del data[name]
    return reject()


@pytest.fixture(autouse=True)
def connected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_API_URL", api.url)


@pytest.mark.parametrize("slug", sorted(registry.own_slugs()))
def test_a_block_is_loaded_as_it_was_saved_and_shows_no_secret(api: Api, slug: str):
    @settings(max_examples=3, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_blocks(registry.find_block(slug)))
    def round_trip(block: Block) -> None:
        name = f"n-{uuid4()}"
        document_id = block.save(name)
        loaded = Block.load(f"{slug}/{name}")
        assert loaded == block
        assert loaded.to_document_data() == block.to_document_data()
        loaded.save(overwrite=True)
        assert type(block).load(name) == block
        assert "PLANTED" not in str(api.get(f"/block_documents/{document_id}").body["data"])
        assert "PLANTED" not in repr(block) + block.model_dump_json()

    round_trip()
