"""Notifiers that post into a chat."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.extras import holds_reference
from penstock.blocks.http import Answer, Request, check_url, json_request
from penstock.blocks.notifications.base import KindOfNotifier, Message, pieces

_COLOURS = {"info": "3aa3e3", "success": "36a64f", "warning": "daa038", "failure": "a30200"}
_TEAMS_COLOURS = {"info": "Accent", "success": "Good", "warning": "Warning", "failure": "Attention"}

_PRIVATE = "Whether the address may be one of a private network; otherwise such a message is not sent."


def _check_secret_url(value: SecretStr) -> SecretStr:
    if not holds_reference(value.get_secret_value()):
        check_url(value.get_secret_value(), "url")
    return value


class SlackWebhook(KindOfNotifier):
    """Posts into a channel of Slack, through one of its incoming webhooks."""

    _block_type_name: ClassVar[str | None] = "Slack Webhook"
    _block_type_slug: ClassVar[str | None] = "slack-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import SlackWebhook

        SlackWebhook.load("BLOCK_NAME").notify("The nightly load is done.")
    """

    url: SecretStr = Field(
        title="Webhook URL", description="Address of the incoming webhook, e.g. https://hooks.slack.com/services/…"
    )
    allow_private_urls: bool = Field(default=True, description=_PRIVATE)

    _check_url = field_validator("url")(_check_secret_url)

    def requests(self, message: Message) -> Iterator[Request]:
        for text in pieces(message.joined("*"), 40_000):
            data: dict[str, Any] = {"text": text}
            if colour := _COLOURS.get(self.notify_type):
                data = {"attachments": [{"color": f"#{colour}", "text": text, "fallback": text, "mrkdwn_in": ["text"]}]}
            yield json_request(self.url.get_secret_value(), data)


class MicrosoftTeamsWebhook(KindOfNotifier):
    """Posts into a channel of Microsoft Teams, through a workflow that starts with a webhook."""

    _block_type_name: ClassVar[str | None] = "Microsoft Teams Webhook"
    _block_type_slug: ClassVar[str | None] = "ms-teams-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import MicrosoftTeamsWebhook

        MicrosoftTeamsWebhook.load("BLOCK_NAME").notify("The nightly load is done.")
    """

    url: SecretStr = Field(
        title="Webhook URL",
        description="Address that the workflow shows, e.g. https://….logic.azure.com:443/workflows/…",
    )
    allow_private_urls: bool = Field(default=True, description=_PRIVATE)
    include_image: bool = Field(default=True, description="Whether a sign of the message's kind stands before it.")
    wrap: bool = Field(default=True, description="Whether long lines are wrapped; otherwise they are cut off.")

    _check_url = field_validator("url")(_check_secret_url)

    def requests(self, message: Message) -> Iterator[Request]:
        sign = self.sign() if self.include_image else ""
        for text in pieces(message.body, 20_000):
            blocks: list[dict[str, Any]] = [{"type": "TextBlock", "text": text, "wrap": self.wrap}]
            if message.subject:
                title = {"type": "TextBlock", "text": sign + message.subject, "weight": "Bolder", "size": "Medium"}
                blocks.insert(0, {**title, "wrap": self.wrap})
            else:
                blocks[0]["text"] = sign + text
            if colour := _TEAMS_COLOURS.get(self.notify_type):
                blocks[0]["color"] = colour
            card = {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
            }
            attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
            yield json_request(self.url.get_secret_value(), {"type": "message", "attachments": [attachment]})

    def accepted(self, answer: Answer) -> bool:
        # Connectors answer 200 also where they fail, and say so in the text.
        return answer.is_success and "delivery failed" not in answer.text


class MattermostWebhook(KindOfNotifier):
    """Posts into channels of Mattermost, through one of its incoming webhooks."""

    _block_type_name: ClassVar[str | None] = "Mattermost Webhook"
    _block_type_slug: ClassVar[str | None] = "mattermost-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import MattermostWebhook

        MattermostWebhook.load("BLOCK_NAME").notify("The nightly load is done.")
    """

    hostname: str = Field(
        description="Name of the server, e.g. mattermost.example.com; with https:// before it, or with port 443, it is "
        "spoken to over TLS."
    )
    token: SecretStr = Field(description="The end of the incoming webhook's address: what follows /hooks/.")
    botname: str | None = Field(default=None, title="Bot name", description="Name that the messages are posted under.")
    channels: list[str] | None = Field(
        default=None, description="Channels that are posted into; by default the one that the webhook is for."
    )
    include_image: bool = Field(default=False, description="Whether a sign of the message's kind stands before it.")
    path: str | None = Field(default=None, description="Path on the server that comes before /hooks.")
    port: int = Field(default=8065, ge=1, le=65535, description="Port of the server.")

    @field_validator("hostname")
    @classmethod
    def _check_hostname(cls, value: str) -> str:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        whole = parts.scheme in {"http", "https"} and parts.hostname and not parts.port and parts.path in {"", "/"}
        if not whole and not holds_reference(value):
            raise ValueError(
                f"hostname is {value!r}; it has to be a name alone: port and path are fields of their own."
            )
        return value

    def requests(self, message: Message) -> Iterator[Request]:
        parts = urlsplit(self.hostname if "://" in self.hostname else f"//{self.hostname}")
        scheme = parts.scheme or ("https" if self.port == 443 else "http")
        folder = f"/{self.path.strip('/')}" if self.path and self.path.strip("/") else ""
        url = f"{scheme}://{parts.netloc}:{self.port}{folder}/hooks/{self.token.get_secret_value()}"
        sign = self.sign() if self.include_image else ""
        channels: list[str | None] = [*self.channels] if self.channels else [None]
        for channel in channels:
            for text in pieces(sign + message.joined("**"), 16_000):
                told = {"text": text, "username": self.botname, "channel": channel and channel.removeprefix("#")}
                yield json_request(url, {key: value for key, value in told.items() if value})


class DiscordWebhook(KindOfNotifier):
    """Posts into a channel of Discord, through one of its webhooks."""

    _block_type_name: ClassVar[str | None] = "Discord Webhook"
    _block_type_slug: ClassVar[str | None] = "discord-webhook"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import DiscordWebhook

        DiscordWebhook.load("BLOCK_NAME").notify("The nightly load is done.")
    """
    _origin: ClassVar[str] = "https://discord.com"

    webhook_id: SecretStr = Field(description="First part of the webhook's address: …/api/webhooks/ID/TOKEN.")
    webhook_token: SecretStr = Field(description="Second part of the webhook's address.")
    botname: str | None = Field(default=None, title="Bot name", description="Name that the messages are posted under.")
    tts: bool = Field(default=False, description="Whether the messages are read out.")
    include_image: bool = Field(default=False, description="Whether a sign of the message's kind stands before it.")
    avatar: bool = Field(default=False, description="Whether the picture of avatar_url is shown beside the messages.")
    avatar_url: str | None = Field(default=None, title="Avatar URL", description="Address of a picture.")

    @field_validator("avatar_url", mode="before")
    @classmethod
    def _none_for_false(cls, value: Any) -> Any:
        return None if value is False else value  # what documents of Prefect 2 hold

    @model_validator(mode="after")
    def _check_avatar(self) -> Self:
        if self.avatar and not self.avatar_url:
            raise ValueError("avatar is true, and avatar_url does not say which picture: give it.")
        return self

    def requests(self, message: Message) -> Iterator[Request]:
        url = (
            f"{self._origin}/api/webhooks/{self.webhook_id.get_secret_value()}/{self.webhook_token.get_secret_value()}"
        )
        sign = self.sign() if self.include_image else ""
        for text in pieces(sign + message.joined("**"), 2000):
            data: dict[str, Any] = {"content": text, "tts": self.tts}
            if self.botname:
                data["username"] = self.botname
            if self.avatar:
                data["avatar_url"] = self.avatar_url
            yield json_request(url, data)
