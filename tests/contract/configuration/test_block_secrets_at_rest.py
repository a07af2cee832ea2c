"""What lies in the database: never a secret in clear, never a mask in place of one."""

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.model.block_documents import MASK, BlockDocumentCreate, BlockDocumentUpdate
from penstock.model.block_schemas import BlockSchemaCreate
from penstock.model.block_types import BlockTypeCreate
from penstock.server import keys
from penstock.server.database.connection import Database, Transaction
from penstock.server.operations.create_block_document import create_block_document
from penstock.server.operations.create_block_schema import create_block_schema
from penstock.server.operations.create_block_type import create_block_type
from penstock.server.operations.read_block_documents import read_block_document
from penstock.server.operations.read_infrastructure_document import resolve_document
from penstock.server.operations.update_block_document import update_block_document

FIELDS: dict[str, Any] = {
    "properties": {
        "user": {"type": "string"},
        "password": {"type": "string"},
        "extra": {"type": "object"},
        "inner": {"type": "object"},
    },
    "secret_fields": ["password", "extra.*", "inner.token"],
}
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
planted = st.none() | texts.filter(lambda text: text != MASK).map(lambda text: f"PLANTED{text}")
documents = st.fixed_dictionaries(
    {"user": texts},
    optional={
        "password": planted,
        "extra": st.none() | st.dictionaries(texts, planted, max_size=3),
        "inner": st.fixed_dictionaries({"host": texts}, optional={"token": planted}),
    },
)


def _make_kind(tx: Transaction) -> tuple[Any, Any]:
    type_id = create_block_type(tx, BlockTypeCreate(name="Vault", slug="vault")).id
    schema, _ = create_block_schema(tx, BlockSchemaCreate(fields=FIELDS, block_type_id=type_id))
    return type_id, schema.id


def test_documents_are_read_as_they_were_saved_and_lie_sealed(database: Database, tmp_path: Path):
    async def round_trips() -> None:
        type_id, schema_id = await database.write(_make_kind)

        @settings(
            max_examples=40,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
            database=None,
        )
        @given(documents, documents)
        def round_trip(first: dict[str, Any], second: dict[str, Any]) -> None:
            asked = BlockDocumentCreate(data=first, block_type_id=type_id, block_schema_id=schema_id)
            shown = database.submit_write(create_block_document, asked).result()
            assert _read(shown.id, True) == first
            assert "PLANTED" not in str(shown.data)
            # what was shown comes back, with some fields changed
            change = BlockDocumentUpdate(data={**shown.data, **second})
            database.submit_write(update_block_document, shown.id, change).result()
            assert _read(shown.id, True) == {**first, **second}
            assert "PLANTED" not in str(_read(shown.id, False))

        def _read(document_id: Any, secrets: bool) -> Any:
            return database._read(read_block_document, (document_id, secrets), {}).data

        await asyncio.to_thread(round_trip)

    asyncio.run(round_trips())
    rows = str(database._read(lambda tx: tx.connection.exec_driver_sql("SELECT * FROM block_document").all(), (), {}))
    assert "PLANTED" not in rows
    assert MASK not in rows
    for file in tmp_path.glob("*.db*"):
        assert b"PLANTED" not in file.read_bytes()


def test_a_claim_gets_the_whole_document_in_clear(database: Database):
    async def resolve() -> None:
        type_id, schema_id = await database.write(_make_kind)
        ids = {"block_type_id": type_id, "block_schema_id": schema_id}
        inner = await database.write(create_block_document, BlockDocumentCreate(data={"password": "ipw"}, **ids))
        data = {"password": "pw", "inner": {"$ref": {"block_document_id": str(inner.id)}}}
        outer = await database.write(create_block_document, BlockDocumentCreate(name="outer", data=data, **ids))
        found = await database.read(resolve_document, outer.id)
        assert found is not None
        assert (found.slug, found.name) == ("vault", "outer")
        kind = {"block_type_slug": "vault", "block_schema_version": "non-versioned"}
        assert found.data == {"password": "pw", "inner": {"password": "ipw", **kind}}
        shown = await database.read(resolve_document, outer.id, include_secrets=False)
        assert shown is not None
        assert shown.data == {"password": MASK, "inner": {"password": MASK, **kind}}
        assert await database.read(resolve_document, type_id) is None
        assert await database.read(resolve_document, None) is None

    asyncio.run(resolve())


def test_secrets_that_an_older_key_sealed_stay_readable(database: Database):
    async def rotate() -> None:
        type_id, schema_id = await database.write(_make_kind)
        asked = BlockDocumentCreate(data={"password": "pw"}, block_type_id=type_id, block_schema_id=schema_id)
        document = await database.write(create_block_document, asked)
        keys.rotate()
        assert (await database.read(read_block_document, document.id, True)).data == {"password": "pw"}

    asyncio.run(rotate())
