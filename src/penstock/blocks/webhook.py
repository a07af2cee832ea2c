"""Calling any address over HTTP, under the module name that users of Prefect 2 know."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference
from penstock.blocks.fields import SecretDict
from penstock.blocks.http import Answer, Request, check_url, send
from penstock.blocks.references import resolved


class Webhook(Block):
    """An address that flows call, with headers that may be secret."""

    _block_type_name: ClassVar[str | None] = "Webhook"
    _block_type_slug: ClassVar[str | None] = "webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.webhook import Webhook

        Webhook.load("BLOCK_NAME").call({"state": "done"})
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="Method of the call.")
    url: SecretStr = Field(title="Webhook URL", description="Address that is called, e.g. https://hooks.example.com/…")
    allow_private_urls: bool = Field(
        default=True, description="Whether the address may be one of a private network; otherwise it is not called."
    )
    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}), title="Webhook Headers", description="Headers that are sent along."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: SecretStr) -> SecretStr:
        if not holds_reference(value.get_secret_value()):
            check_url(value.get_secret_value(), "url")
        return value

    def call(self, payload: dict[str, Any] | list[Any] | None = None) -> Answer:
        """Call the address with `payload` as JSON; returns the answer, whatever its status.

        Tried again, four times in all, while nobody was reached or the answer is 429 or 503; after other failures only if
        the method may be repeated (GET, PUT, DELETE). Raises DeliveryError if nobody answers.
        """
        block = resolved(self)
        headers = {name: str(value) for name, value in block.headers.get_secret_value().items()}
        body = None
        if payload is not None:
            body = json.dumps(payload).encode()
            headers = {"Content-Type": "application/json", **headers}
        request = Request(block.method, block.url.get_secret_value(), body, headers)
        return send(
            request,
            secrets=[block.url.get_secret_value(), *headers.values()],
            repeatable=block.method in {"GET", "PUT", "DELETE"},
            allow_private=block.allow_private_urls,
        )

    async def acall(self, payload: dict[str, Any] | list[Any] | None = None) -> Answer:
        """As `call`, for async code."""
        import asyncio

        return await asyncio.to_thread(self.call, payload)
