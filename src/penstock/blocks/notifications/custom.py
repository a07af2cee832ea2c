"""A notifier for services that have none of their own: any HTTP request, with the message put into its place."""

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlencode

from pydantic import Field, field_validator, model_validator

from penstock.blocks.extras import holds_reference
from penstock.blocks.fields import SecretDict
from penstock.blocks.http import Request, check_url
from penstock.blocks.notifications.base import HTTPNotifier, Message
from penstock.errors import did_you_mean

_PLACE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_OWN_PLACES = ("subject", "body", "name")


class CustomWebhookNotificationBlock(HTTPNotifier):
    """Sends messages as requests of your own making.

    In url, params, json_data, form_data, headers and cookies, `{{subject}}`, `{{body}}` and `{{name}}` stand for those,
    and the name of any of the secrets for its value.
    """

    _block_type_name: ClassVar[str | None] = "Custom Webhook"
    _block_type_slug: ClassVar[str | None] = "custom-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import CustomWebhookNotificationBlock

        CustomWebhookNotificationBlock(
            name="pager",
            url="https://pager.example.com/send",
            json_data={"text": "{{subject}}: {{body}}", "token": "{{token}}"},
            secrets={"token": "…"},
        ).save("BLOCK_NAME")
    """

    name: str = Field(description="What the notifier is called in its messages.")
    url: str = Field(title="Webhook URL", description="Address that is called, e.g. https://pager.example.com/send.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="Method of the request."
    )
    params: dict[str, str] | None = Field(default=None, title="Query Params", description="Parameters of the address.")
    json_data: dict[str, Any] | None = Field(
        default=None, title="JSON Data", description="Body of the request, as JSON."
    )
    form_data: dict[str, str] | None = Field(
        default=None, title="Form Data", description="Body of the request, as form."
    )
    headers: dict[str, str] | None = Field(default=None, description="Headers of the request.")
    cookies: dict[str, str] | None = Field(default=None, description="Cookies of the request.")
    timeout: float = Field(default=10, gt=0, description="Seconds that the service may be silent.")
    secrets: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Custom Secret Values",
        description="Values that are kept secret, by the names that stand for them.",
    )

    @field_validator("url")
    @classmethod
    def _check_address(cls, value: str) -> str:
        if not holds_reference(value):
            check_url(_PLACE.sub("x", value), "url")
        return value

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if self.json_data is not None and self.form_data is not None:
            raise ValueError("A request has one body: give json_data or form_data.")
        known = [*_OWN_PLACES, *self.secrets.get_secret_value()]
        for field in ("url", "params", "json_data", "form_data", "headers", "cookies"):
            for name in _places(getattr(self, field)):
                if name not in known:
                    raise ValueError(
                        f"{field}: {{{{{name}}}}} stands for nothing; there are {', '.join(known)}.{did_you_mean(name, known)}"
                    )
        return self

    def requests(self, message: Message) -> Iterator[Request]:
        values = {**self.secrets.get_secret_value(), "subject": message.subject or "", "body": message.body}
        values["name"] = self.name
        url, headers, body = _filled(self.url, values), dict(_filled(self.headers or {}, values)), None
        if self.params:
            url += ("&" if "?" in url else "?") + urlencode(_filled(self.params, values))
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in _filled(self.cookies, values).items())
        if self.json_data is not None:
            body = json.dumps(_filled(self.json_data, values)).encode()
            headers.setdefault("Content-Type", "application/json")
        elif self.form_data is not None:
            body = urlencode(_filled(self.form_data, values)).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        yield Request(self.method, url, body, headers)

    def _seconds(self) -> float:
        return self.timeout


def _places(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACE.findall(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _places(key)
            yield from _places(item)
    elif isinstance(value, list):
        for item in value:
            yield from _places(item)


def _filled(value: Any, values: dict[str, Any]) -> Any:
    """`value` with the message and the secrets in their places; what they hold is not looked into again."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: str(values[match[1]]), value)
    if isinstance(value, dict):
        return {_filled(key, values): _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value
