"""A server on either database, whose rows a test may edit behind its back; and a block type of a test's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from wire import Answer, Api

from penstock.testing import TestServer, server

FIELDS: dict[str, Any] = {
    "title": "Vault",
    "type": "object",
    "properties": {
        "user": {"type": "string"},
        "password": {"type": "string", "writeOnly": True, "format": "password"},
        "port": {"type": "integer", "minimum": 1},
        "level": {"type": "string", "enum": ["low", "high"]},
        "on": {"type": "boolean"},
        "extra": {"type": "object"},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "keys": {"type": "array", "items": {"type": "string", "writeOnly": True, "format": "password"}},
        "doors": {"type": "array", "items": {"type": "object", "properties": {"code": {"writeOnly": True}}}},
        "inner": {"anyOf": [{"$ref": "#/definitions/Inner"}, {"type": "string"}]},
        "deep": {"$ref": "#/definitions/Inner"},
        "value": {},
    },
    "definitions": {
        "Inner": {
            "type": "object",
            "properties": {"host": {"type": "string"}, "token": {"type": "string", "writeOnly": True}},
            "required": ["host"],
        }
    },
    "secret_fields": ["extra.*"],
}


@dataclass
class Served:
    """A running server with its database."""

    server: TestServer
    api: Api
    url: str

    def edit(self, statement: str, **values: Any) -> int:
        """Run one statement on the database as somebody with a shell would; how many rows it changed."""
        with self._connected() as connection:
            return connection.execute(sa.text(statement), self._bound(values)).rowcount

    def select(self, statement: str, **values: Any) -> Any:
        """The one value that the statement finds, as the database gives it."""
        with self._connected() as connection:
            return connection.execute(sa.text(statement), self._bound(values)).scalar_one()

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        url = sa.make_url(self.url)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SET session_replication_role = replica")  # foreign keys look away
            yield connection
        engine.dispose()

    def _bound(self, values: dict[str, Any]) -> dict[str, Any]:
        return {key: self._id(item) for key, item in values.items()}

    def _id(self, value: Any) -> Any:
        return value.hex if isinstance(value, UUID) and self.url.startswith("sqlite") else value


@contextmanager
def served(url: str, **options: Any) -> Iterator[Served]:
    with server(database_url=url, **options) as started, Api(started.api_url) as api:
        yield Served(started, api, url)


class Vaults:
    """A block type with fields of every kind, of its own for one test."""

    def __init__(self, api: Api, fields: dict[str, Any] = FIELDS) -> None:
        self.api, self.slug = api, f"vault-{uuid4()}"
        self.type_id = api.post("/block_types/", {"name": "Vault", "slug": self.slug}).body["id"]
        self.schema_id = self.schema(fields).body["id"]

    def schema(self, fields: dict[str, Any], **more: Any) -> Answer:
        body = {"fields": {**fields, "block_type_slug": self.slug}, "block_type_id": self.type_id, **more}
        return self.api.post("/block_schemas/", body)

    def save(self, name: str, data: dict[str, Any]) -> Answer:
        ids = {"block_type_id": self.type_id, "block_schema_id": self.schema_id}
        return self.api.post("/block_documents/", {"name": name, "data": data, **ids})

    def saved(self, name: str, data: dict[str, Any]) -> UUID:
        answer = self.save(name, data)
        assert answer.status == 201, answer
        return UUID(answer.body["id"])

    def change(self, document_id: UUID, data: dict[str, Any], **more: Any) -> Answer:
        return self.api.call("PATCH", f"/block_documents/{document_id}", {"data": data, **more})

    def read(self, document_id: UUID, secrets: bool = False) -> Answer:
        return self.api.get(f"/block_documents/{document_id}?include_secrets={str(secrets).lower()}")

    def listed(self, secrets: bool = False) -> list[dict[str, Any]]:
        asked = {"block_documents": {"block_type_id": {"any_": [self.type_id]}}, "include_secrets": secrets}
        answer = self.api.post("/block_documents/filter", asked)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.body
        return found


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")
