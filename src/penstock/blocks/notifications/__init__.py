"""Blocks that tell somebody something: `block.notify("body", subject="…")`. Found lazily."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.blocks.notifications.base import NotificationBlock as NotificationBlock
    from penstock.blocks.notifications.chat import DiscordWebhook as DiscordWebhook
    from penstock.blocks.notifications.chat import MattermostWebhook as MattermostWebhook
    from penstock.blocks.notifications.chat import MicrosoftTeamsWebhook as MicrosoftTeamsWebhook
    from penstock.blocks.notifications.chat import SlackWebhook as SlackWebhook
    from penstock.blocks.notifications.custom import CustomWebhookNotificationBlock as CustomWebhookNotificationBlock
    from penstock.blocks.notifications.mail import SendgridEmail as SendgridEmail
    from penstock.blocks.notifications.mail import SmtpEmail as SmtpEmail
    from penstock.blocks.notifications.paging import OpsgenieWebhook as OpsgenieWebhook
    from penstock.blocks.notifications.paging import PagerDutyWebHook as PagerDutyWebHook
    from penstock.blocks.notifications.paging import TwilioSMS as TwilioSMS

#: public name -> module that holds it
_PUBLIC = {
    "CustomWebhookNotificationBlock": "custom",
    "DiscordWebhook": "chat",
    "MattermostWebhook": "chat",
    "MicrosoftTeamsWebhook": "chat",
    "NotificationBlock": "base",
    "OpsgenieWebhook": "paging",
    "PagerDutyWebHook": "paging",
    "SendgridEmail": "mail",
    "SlackWebhook": "chat",
    "SmtpEmail": "mail",
    "TwilioSMS": "paging",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.blocks.notifications' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"penstock.blocks.notifications.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
