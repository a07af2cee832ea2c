"""The contract of notifiers, and what those that speak HTTP have in common."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, Secret, SecretStr, field_validator

from penstock.blocks.base import Block
from penstock.blocks.http import Answer, Request, send, words_of
from penstock.blocks.references import resolved
from penstock.errors import DeliveryError, did_you_mean

NotifyType = Literal["default", "info", "success", "warning", "failure"]

_KINDS = ("default", "info", "success", "warning", "failure")
#: Characters from which on a part of a secret address is hidden by itself.
_SHORTEST_TOKEN = 16
_SIGNS = {"info": "ℹ️", "success": "✅", "warning": "⚠️", "failure": "❌"}


@dataclass(frozen=True)
class Message:
    """What is told. `subject` is None where nobody gave one."""

    body: str
    subject: str | None = None

    def joined(self, mark: str = "") -> str:
        """Subject and body as one text, the subject between two `mark`."""
        return f"{mark}{self.subject}{mark}\n{self.body}" if self.subject else self.body


class NotificationBlock(Block):
    """A block that can tell somebody something."""

    _block_schema_capabilities: ClassVar[list[str] | None] = ["notify"]

    def notify(self, body: str, subject: str | None = None) -> None:
        """Send the message. Returns when the service has taken it; blocks the thread.

        A message is sent rather twice than never: if the service does not answer or answers 429 or 5xx, it is asked again, four
        times in all. Raises DeliveryError with the service's own words.
        """
        resolved(self).deliver(Message(body, subject))

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """As `notify`, for async code."""
        import asyncio

        await asyncio.to_thread(self.notify, body, subject)

    @abstractmethod
    def deliver(self, message: Message) -> None:
        """Send `message`, with the fields as they are: references are resolved already. For those who write a notifier."""


class HTTPNotifier(NotificationBlock):
    """A notifier whose service takes requests over HTTP."""

    @abstractmethod
    def requests(self, message: Message) -> Iterator[Request]:
        """The requests that make up the message. Pure."""

    def deliver(self, message: Message) -> None:
        secrets = list(secret_texts(self))
        for request in self.requests(message):
            answer = send(
                request,
                secrets=secrets,
                timeout=self._seconds(),
                allow_private=getattr(self, "allow_private_urls", True),
            )
            if not self.accepted(answer):
                raise DeliveryError(
                    f"{self.get_block_type_name()}: the message was refused ({answer.status_code}): "
                    f"{words_of(answer, secrets)}",
                    code="refused",
                    retry_after=answer.retry_after,
                )

    def accepted(self, answer: Answer) -> bool:
        """Whether the service took the message."""
        return answer.is_success

    def _seconds(self) -> float:
        return 10.0


class KindOfNotifier(HTTPNotifier):
    """A notifier that can say of what kind its messages are."""

    notify_type: NotifyType = Field(
        default="default", description="Kind of the messages, which decides about their colour or severity."
    )

    @field_validator("notify_type", mode="before")
    @classmethod
    def _check_kind(cls, value: Any) -> Any:
        return read_kind(value, _KINDS)

    def sign(self) -> str:
        """A sign for the kind and a space; nothing for the default kind."""
        sign = _SIGNS.get(self.notify_type)
        return f"{sign} " if sign else ""


def read_kind(value: Any, known: tuple[str, ...]) -> Any:
    """A kind by its own or its former name. Raises ValueError with the nearest one."""
    if value == "prefect_default":  # what documents of Prefect 2 hold
        return "default"
    if isinstance(value, str) and value not in known:
        raise ValueError(f"notify_type is {value!r}, not one of {', '.join(known)}.{did_you_mean(value, known)}")
    return value


def secret_texts(value: Any) -> Iterator[str]:
    """Every secret text in a block, in clear; of addresses also what in them is long enough to be a token, which services quote."""
    if isinstance(value, SecretStr | Secret):
        yield from _texts(value.get_secret_value())
    elif isinstance(value, Block):
        for name in type(value).model_fields:
            yield from secret_texts(getattr(value, name))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if "://" in value:
            beyond_host = value.partition("://")[2].partition("/")[2]
            yield from (part for part in re.split(r"[/?&=#]", beyond_host) if len(part) >= _SHORTEST_TOKEN)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def pieces(text: str, size: int) -> Iterator[str]:
    """`text` in pieces that a service takes: at most `size` characters, cut at a line's end where there is one."""
    while len(text) > size:
        cut = text.rfind("\n", 1, size) + 1 or size
        yield text[:cut].rstrip("\n")
        text = text[cut:]
    yield text
