"""The warehouse where the tables lie, as a type of blocks."""

import socket
from typing import Any

from pydantic import Field, SecretStr

from penstock.blocks.base import Block
from penstock.blocks.references import resolved
from penstock.model.findings import Finding


class Warehouse(Block):
    """The warehouse where the tables lie."""

    _block_type_slug = "warehouse"
    _block_schema_version = 2
    _code_example = """
        from warehouse_block import Warehouse

        url = Warehouse.load("BLOCK_NAME").url()
    """

    host: str = Field(description="Name or address of the machine.")
    port: int = Field(default=5432, ge=1, le=65535, description="The port it listens on.")
    user: str = Field(description="Who logs in.")
    password: SecretStr = Field(description="What they log in with.")

    @Block.migrates(1)
    def _host_and_port(data: dict[str, Any]) -> dict[str, Any]:
        """Version 1 kept both in `address`."""
        host, _, port = data.pop("address").partition(":")
        return {**data, "host": host, "port": int(port or 5432)}

    def url(self) -> str:
        """The address with user and password: a secret."""
        known = resolved(self)
        return f"postgresql://{known.user}:{known.password.get_secret_value()}@{known.host}:{known.port}/"

    def check(self) -> list[Finding]:
        """Its fields, and whether something listens at its address."""
        found = super().check()
        if not all(finding.ok for finding in found):
            return found
        known = resolved(self)
        tried = f"connecting to {known.host}:{known.port}"
        try:
            socket.create_connection((known.host, known.port), timeout=5).close()
        except OSError as error:
            return [*found, Finding(tried, False, str(error), "Start the warehouse, or correct host and port.")]
        return [*found, Finding(tried, True, "something listens there")]
