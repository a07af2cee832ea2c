"""Notifiers that send e-mail."""

import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.extras import holds_reference
from penstock.blocks.http import LONGEST_WAIT, MAX_TRIES, Request, hide, json_request
from penstock.blocks.notifications.base import KindOfNotifier, Message, NotificationBlock, secret_texts
from penstock.client.retries import wait_before
from penstock.errors import DeliveryError

if TYPE_CHECKING:
    import smtplib

#: What stands in the subject where nobody gave one.
SUBJECT = "Message from Penstock"


def _check_addresses(value: Any) -> Any:
    for address in [value] if isinstance(value, str) else value:
        name, at, domain = str(address).rpartition("@")
        broken = any(character in "\r\n" for character in str(address))
        if broken or not ((name and at and domain) or holds_reference(str(address))):
            raise ValueError(f"{address!r} is no e-mail address.")
    return value


class SendgridEmail(KindOfNotifier):
    """Sends e-mail through SendGrid."""

    _block_type_name: ClassVar[str | None] = "Sendgrid Email"
    _block_type_slug: ClassVar[str | None] = "sendgrid-email"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import SendgridEmail

        SendgridEmail.load("BLOCK_NAME").notify("It took two hours.", subject="The nightly load is done")
    """
    _origin: ClassVar[str] = "https://api.sendgrid.com"

    api_key: SecretStr = Field(title="API Key", description="Key that may send e-mail.")
    sender_email: str = Field(
        title="Sender email id", description="Address that the messages come from; SendGrid must know it."
    )
    to_emails: list[str] = Field(
        title="Recipient emails", description="Addresses that the messages go to.", min_length=1
    )

    _check = field_validator("sender_email", "to_emails")(_check_addresses)

    def requests(self, message: Message) -> Iterator[Request]:
        data = {
            "personalizations": [{"to": [{"email": address} for address in self.to_emails]}],
            "from": {"email": self.sender_email},
            "subject": self.sign() + (message.subject or SUBJECT),
            "content": [{"type": "text/plain", "value": message.body or " "}],
        }
        headers = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
        yield json_request(f"{self._origin}/v3/mail/send", data, headers)


class SmtpEmail(NotificationBlock):
    """Sends e-mail through any mail server."""

    _block_type_name: ClassVar[str | None] = "SMTP Email"
    _block_type_slug: ClassVar[str | None] = "smtp-email"
    _code_example: ClassVar[str | None] = """
        from penstock.blocks.notifications import SmtpEmail

        SmtpEmail.load("BLOCK_NAME").notify("It took two hours.", subject="The nightly load is done")
    """
    _ports: ClassVar[dict[str, int]] = {"starttls": 587, "tls": 465, "none": 25}

    host: str = Field(description="Name of the mail server, e.g. smtp.example.com.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port; by default 587, with tls 465, with none 25."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the connection is protected: from its second step on, from the first, or not at all.",
    )
    username: str | None = Field(default=None, description="Name to log in with; without one there is no login.")
    password: SecretStr | None = Field(default=None, description="Password to log in with.")
    sender_email: str = Field(description="Address that the messages come from.")
    to_emails: list[str] = Field(description="Addresses that the messages go to.", min_length=1)

    _check = field_validator("sender_email", "to_emails")(_check_addresses)

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("A login is username and password: give both or none.")
        return self

    def deliver(self, message: Message) -> None:
        """Retried where the server says that it cannot now, not where it says that it will not."""
        import smtplib

        tries = 0
        while True:
            tries += 1
            try:
                refused = self._send(message)
            except smtplib.SMTPResponseException as error:
                code, words = error.smtp_code, _text(error.smtp_error)
                again = 400 <= code < 500
            except smtplib.SMTPRecipientsRefused as error:
                code, words = 550, _of_recipients(error.recipients)
                again = False
            except (smtplib.SMTPException, OSError) as error:
                code, words = 0, str(error) or type(error).__name__
                again = not isinstance(error, smtplib.SMTPNotSupportedError) and "CERTIFICATE" not in words
            else:
                if refused:
                    raise DeliveryError(
                        f"{self.host} refused some recipients: {_of_recipients(refused)}", code="refused"
                    )
                return
            if not again or tries == MAX_TRIES:
                said = hide(words, secret_texts(self))
                raise DeliveryError(
                    f"{self.host}: the message was not sent{f' ({code})' if code else ''}: {said}",
                    code="refused" if code else "unreachable",
                ) from None
            time.sleep(wait_before(tries, None, LONGEST_WAIT, random.random()))

    def _send(self, message: Message) -> Any:
        """The recipients that were refused, each with the server's words."""
        from email.message import EmailMessage
        from email.utils import formatdate, make_msgid

        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender_email, ", ".join(self.to_emails)
        mail["Subject"] = " ".join((message.subject or SUBJECT).splitlines())
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=self.sender_email.rpartition("@")[2])
        mail.set_content(message.body)
        with self._connect() as server:
            if self.username is not None and self.password is not None:
                server.login(self.username, self.password.get_secret_value())
            return server.send_message(mail)

    def _connect(self) -> "smtplib.SMTP":
        import smtplib
        import ssl

        port = self.port or self._ports[self.security]
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, port, timeout=10, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, port, timeout=10)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


def _of_recipients(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {code} {_text(words)}" for address, (code, words) in refused.items())


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words
