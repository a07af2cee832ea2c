"""Blocks that tell somebody something: `block.notify("body", subject="…")`. Found lazily."""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

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
    "CustomWebhookNotificationBlock": "penstock.blocks.notifications.custom",
    "DiscordWebhook": "penstock.blocks.notifications.chat",
    "MattermostWebhook": "penstock.blocks.notifications.chat",
    "MicrosoftTeamsWebhook": "penstock.blocks.notifications.chat",
    "NotificationBlock": "penstock.blocks.notifications.base",
    "OpsgenieWebhook": "penstock.blocks.notifications.paging",
    "PagerDutyWebHook": "penstock.blocks.notifications.paging",
    "SendgridEmail": "penstock.blocks.notifications.mail",
    "SlackWebhook": "penstock.blocks.notifications.chat",
    "SmtpEmail": "penstock.blocks.notifications.mail",
    "TwilioSMS": "penstock.blocks.notifications.paging",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
