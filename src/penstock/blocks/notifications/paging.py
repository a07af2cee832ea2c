"""Notifiers that reach the people on duty."""

import base64
from collections.abc import Iterator
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator

from penstock.blocks.http import Request, json_request
from penstock.blocks.notifications.base import HTTPNotifier, KindOfNotifier, Message, pieces, read_kind
from penstock.errors import did_you_mean

_PAGER_KINDS = ("info", "success", "warning", "failure")
_SEVERITIES = {"info": "info", "success": "info", "warning": "warning", "failure": "critical"}
_SIGNS = {"info": "ℹ️ ", "success": "✅ ", "warning": "⚠️ ", "failure": "❌ "}
#: Priorities of Opsgenie, by what people call them.
_PRIORITIES = {
    **{str(number): f"P{number}" for number in range(1, 6)},
    **{f"p{number}": f"P{number}" for number in range(1, 6)},
    "emergency": "P1",
    "high": "P2",
    "normal": "P3",
    "moderate": "P4",
    "low": "P5",
}


class PagerDutyWebHook(HTTPNotifier):
    """Raises an event in PagerDuty, through an integration of its Events API v2."""

    _block_type_name: ClassVar[str | None] = "Pager Duty Webhook"
    _block_type_slug: ClassVar[str | None] = "pager-duty-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import PagerDutyWebHook

        PagerDutyWebHook.load("BLOCK_NAME").notify("The nightly load failed.")
    """
    _origins: ClassVar[dict[str, str]] = {
        "us": "https://events.pagerduty.com",
        "eu": "https://events.eu.pagerduty.com",
    }

    notify_type: Literal["info", "success", "warning", "failure"] = Field(
        default="info", description="Kind of the events, which decides about their severity; failure is critical."
    )
    integration_key: SecretStr = Field(description="Key of the integration, also called routing key.")
    api_key: SecretStr | None = Field(
        default=None, title="API Key", description="Key of the REST API; the Events API does without it."
    )
    source: str | None = Field(default="Penstock", description="What the events come from.")
    component: str = Field(default="Notification", description="Part of the source that the events are about.")
    group: str | None = Field(default=None, description="Group that the component belongs to.")
    class_id: str | None = Field(default=None, title="Class ID", description="Class of the events.")
    region_name: Literal["us", "eu"] = Field(default="us", description="Region of the account.")
    clickable_url: AnyHttpUrl | None = Field(
        default=None, title="Clickable URL", description="Address that the events link to."
    )
    include_image: bool = Field(default=True, description="Whether a sign of the event's kind stands in its summary.")
    custom_details: dict[str, str] | None = Field(default=None, description="Further details of the events.")

    @field_validator("notify_type", mode="before")
    @classmethod
    def _check_kind(cls, value: Any) -> Any:
        return read_kind(value, _PAGER_KINDS)

    def requests(self, message: Message) -> Iterator[Request]:
        sign = _SIGNS[self.notify_type] if self.include_image else ""
        payload = {
            "summary": (sign + (message.subject or message.body))[:1024],
            "source": self.source or "Penstock",
            "severity": _SEVERITIES[self.notify_type],
            "component": self.component,
            "group": self.group,
            "class": self.class_id,
            "custom_details": {**(self.custom_details or {}), "body": message.body},
        }
        event: dict[str, Any] = {
            "routing_key": self.integration_key.get_secret_value(),
            "event_action": "trigger",
            "client": "Penstock",
            "payload": {key: value for key, value in payload.items() if value is not None},
        }
        if self.clickable_url is not None:
            event["client_url"] = str(self.clickable_url)
            event["links"] = [{"href": str(self.clickable_url), "text": message.subject or self.component}]
        headers = {"Authorization": f"Token token={self.api_key.get_secret_value()}"} if self.api_key else {}
        yield json_request(f"{self._origins[self.region_name]}/v2/enqueue", event, headers)


class OpsgenieWebhook(KindOfNotifier):
    """Creates an alert in Opsgenie."""

    _block_type_name: ClassVar[str | None] = "Opsgenie Webhook"
    _block_type_slug: ClassVar[str | None] = "opsgenie-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import OpsgenieWebhook

        OpsgenieWebhook.load("BLOCK_NAME").notify("The nightly load failed.")
    """
    _origins: ClassVar[dict[str, str]] = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}

    apikey: SecretStr = Field(title="API Key", description="Key of an API integration.")
    target_user: list[str] | None = Field(default=None, description="Users who are told, by name or e-mail address.")
    target_team: list[str] | None = Field(default=None, description="Teams that are told.")
    target_schedule: list[str] | None = Field(default=None, description="Schedules whose people on duty are told.")
    target_escalation: list[str] | None = Field(default=None, description="Escalations that are started.")
    region_name: Literal["us", "eu"] = Field(default="us", description="Region of the account.")
    batch: bool = Field(
        default=False, description="Whether all targets share one alert; otherwise each gets one of its own."
    )
    tags: list[str] | None = Field(default=None, description="Tags of the alert.")
    priority: str | None = Field(
        default="3", description="1 to 5 or P1 to P5, 1 being the highest; or emergency, high, normal, moderate, low."
    )
    alias: str | None = Field(
        default=None, description="Name of the alert: while it is open, another of the same name only counts up."
    )
    entity: str | None = Field(default=None, description="What the alert is about.")
    details: dict[str, str] | None = Field(default=None, description="Further details of the alert.")

    @field_validator("priority", mode="before")
    @classmethod
    def _check_priority(cls, value: Any) -> Any:
        text = str(value) if value is not None else None
        if text is not None and text.lower() not in _PRIORITIES:
            raise ValueError(f"priority is {text!r}, not 1 to 5.{did_you_mean(text.lower(), _PRIORITIES)}")
        return text

    def requests(self, message: Message) -> Iterator[Request]:
        alert = {
            "message": (message.subject or message.body)[:130],
            "description": message.body[:15_000],
            "alias": self.alias,
            "tags": self.tags,
            "entity": self.entity,
            "details": self.details,
            "priority": _PRIORITIES[self.priority.lower()] if self.priority else None,
            "source": "Penstock",
        }
        alert = {key: value for key, value in alert.items() if value is not None}
        everybody = self._responders()
        for responders in [everybody] if self.batch or not everybody else [[one] for one in everybody]:
            told: dict[str, Any] = {**alert, "responders": responders} if responders else alert
            if self.alias and len(everybody) > 1 and not self.batch:
                # Alerts of one alias are one alert: each target's needs its own.
                told = {**told, "alias": f"{self.alias}-{next(reversed(responders[0].values()))}"}
            headers = {"Authorization": f"GenieKey {self.apikey.get_secret_value()}"}
            yield json_request(f"{self._origins[self.region_name]}/v2/alerts", told, headers)

    def _responders(self) -> list[dict[str, str]]:
        users = [{"type": "user", "username": name} for name in self.target_user or []]
        others = [
            ("team", self.target_team),
            ("schedule", self.target_schedule),
            ("escalation", self.target_escalation),
        ]
        return users + [{"type": kind, "name": name} for kind, names in others for name in names or []]


class TwilioSMS(KindOfNotifier):
    """Sends text messages to telephones, through Twilio."""

    _block_type_name: ClassVar[str | None] = "Twilio SMS"
    _block_type_slug: ClassVar[str | None] = "twilio-sms"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import TwilioSMS

        TwilioSMS.load("BLOCK_NAME").notify("The nightly load failed.")
    """
    _origin: ClassVar[str] = "https://api.twilio.com"

    account_sid: str = Field(description="Id of the Twilio account.")
    auth_token: SecretStr = Field(description="The account's token.")
    from_phone_number: str = Field(description="Number that the messages come from, e.g. +18001234567.")
    to_phone_numbers: list[str] = Field(description="Numbers that the messages go to, e.g. +18004242424.", min_length=1)

    def requests(self, message: Message) -> Iterator[Request]:
        url = f"{self._origin}/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        login = base64.b64encode(f"{self.account_sid}:{self.auth_token.get_secret_value()}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
        for number in self.to_phone_numbers:
            for text in pieces(message.joined(), 1600):
                form = {"From": _international(self.from_phone_number), "To": _international(number), "Body": text}
                yield Request("POST", url, urlencode(form).encode(), headers)


def _international(number: str) -> str:
    """Twilio wants E.164; people leave the plus out, and put signs between the digits."""
    digits = "".join(character for character in number if character.isdigit())
    return f"+{digits}" if len(digits) > 6 and not number.strip()[:1].isalpha() else number
