"""The simplest blocks: one value each."""

from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr

from penstock.blocks.base import Block
from penstock.blocks.references import resolved


class Secret(Block):
    """A secret text, such as a password or a token. It is stored sealed and shown only as a mask."""

    _block_type_slug = "secret"
    _code_example = """
        from penstock.blocks.system import Secret

        password = Secret.load("BLOCK_NAME").get()
    """

    value: SecretStr = Field(description="The secret itself.")

    def get(self) -> str:
        """The secret in clear; what it refers to, if it is a reference. Raises ConfigurationError if that is not there."""
        return resolved(self).value.get_secret_value()


class JSON(Block):
    """Any JSON value."""

    _block_type_slug = "json"
    _code_example = """
        from penstock.blocks.system import JSON

        value = JSON.load("BLOCK_NAME").value
    """

    value: Any = Field(description="Anything that JSON can express.")


class String(Block):
    """A text."""

    _block_type_slug = "string"
    _code_example = """
        from penstock.blocks.system import String

        text = String.load("BLOCK_NAME").value
    """

    value: str = Field(description="The text.")


class DateTime(Block):
    """A point in time."""

    _block_type_name = "Date Time"
    _block_type_slug = "date-time"
    _code_example = """
        from penstock.blocks.system import DateTime

        moment = DateTime.load("BLOCK_NAME").value
    """

    value: datetime = Field(description="The time, in ISO 8601.")
