"""Notifiers and webhooks against real HTTP and SMTP servers: what arrives, what is tried again, what errors tell."""

import base64
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from message_services import MailServer, Service, http_service, mail_service

from penstock.blocks.notifications import (
    CustomWebhookNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    SlackWebhook,
    SmtpEmail,
    TwilioSMS,
)
from penstock.blocks.webhook import Webhook
from penstock.errors import ConfigurationError, DeliveryError

SECRET = "T0P/s3cr3t-of-the-hook"


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as told:
        yield told


def test_slack_gets_the_text_with_the_subject_in_bold(service: Service) -> None:
    SlackWebhook(url=f"{service.url}/services/{SECRET}").notify("It took long.", subject="Done")
    (arrived,) = service.arrived
    assert (arrived.method, arrived.path) == ("POST", f"/services/{SECRET}")
    assert arrived.headers["Content-Type"] == "application/json"
    assert arrived.json == {"text": "*Done*\nIt took long."}


def test_a_kind_gives_a_slack_message_its_colour(service: Service) -> None:
    SlackWebhook(url=service.url, notify_type="failure").notify("broken")
    (attachment,) = service.arrived[0].json["attachments"]
    assert (attachment["color"], attachment["text"], attachment["fallback"]) == ("#a30200", "broken", "broken")


async def _tell(url: str) -> None:
    await SlackWebhook(url=url).anotify("hello")


def test_asynchronous_code_notifies_too(service: Service) -> None:
    import asyncio

    asyncio.run(_tell(service.url))
    assert service.arrived[0].json == {"text": "hello"}


def test_teams_gets_an_adaptive_card(service: Service) -> None:
    service.answers = [(202, "")]
    MicrosoftTeamsWebhook(url=f"{service.url}/workflows/x", notify_type="warning").notify("body", subject="Late")
    (attachment,) = service.arrived[0].json["attachments"]
    assert service.arrived[0].json["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    title, text = attachment["content"]["body"]
    assert (title["text"], text["text"], text["wrap"], title["color"]) == ("⚠️ Late", "body", True, "Warning")


def test_teams_saying_200_to_a_message_that_it_could_not_deliver_is_a_failure(service: Service) -> None:
    service.answers = [(200, "Webhook message delivery failed with error: HTTP error 429")]
    with pytest.raises(DeliveryError, match="delivery failed with error: HTTP error 429"):
        MicrosoftTeamsWebhook(url=service.url).notify("x")


def test_mattermost_gets_the_message_once_for_each_channel(service: Service) -> None:
    MattermostWebhook(
        hostname="127.0.0.1", port=service.port, token="k3y", path="/chat/", channels=["#ops", "dev"], botname="bot"
    ).notify("body", subject="S")
    assert [arrived.path for arrived in service.arrived] == ["/chat/hooks/k3y"] * 2
    assert [arrived.json for arrived in service.arrived] == [
        {"text": "**S**\nbody", "username": "bot", "channel": channel} for channel in ("ops", "dev")
    ]


def test_discord_gets_a_long_message_in_pieces_that_it_takes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscordWebhook, "_origin", service.url)
    service.answers = [(204, ""), (204, "")]
    lines = "\n".join(f"line {number:04}" for number in range(300))
    DiscordWebhook(webhook_id="42", webhook_token="t0ken", botname="bot").notify(lines)
    assert {arrived.path for arrived in service.arrived} == {"/api/webhooks/42/t0ken"}
    contents = [arrived.json["content"] for arrived in service.arrived]
    assert all(len(content) <= 2000 for content in contents)
    assert "\n".join(contents) == lines
    assert service.arrived[0].json["username"] == "bot"


def test_pager_duty_gets_a_trigger_event(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagerDutyWebHook, "_origins", {"eu": service.url})
    service.answers = [(202, '{"status": "success", "message": "Event processed"}')]
    PagerDutyWebHook(
        integration_key="r0uting",
        region_name="eu",
        notify_type="failure",
        group="etl",
        custom_details={"disk": "full"},
        clickable_url="https://example.com/runs/1",
        include_image=False,
    ).notify("the whole story", subject="Load failed")
    event = service.arrived[0].json
    assert service.arrived[0].path == "/v2/enqueue"
    assert (event["routing_key"], event["event_action"]) == ("r0uting", "trigger")
    assert event["payload"] == {
        "summary": "Load failed",
        "source": "Penstock",
        "severity": "critical",
        "component": "Notification",
        "group": "etl",
        "custom_details": {"disk": "full", "body": "the whole story"},
    }
    assert event["links"] == [{"href": "https://example.com/runs/1", "text": "Load failed"}]


def test_opsgenie_makes_one_alert_for_each_target_or_one_for_all(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpsgenieWebhook, "_origins", {"us": service.url})
    service.answers = [(202, "{}")] * 3
    given = {"apikey": "k3y", "target_user": ["ann@example.com"], "target_team": ["ops"], "priority": "high"}
    OpsgenieWebhook(**given).notify("body")
    OpsgenieWebhook(**given, batch=True).notify("body", subject="S")
    user, team = {"type": "user", "username": "ann@example.com"}, {"type": "team", "name": "ops"}
    assert [arrived.json["responders"] for arrived in service.arrived] == [[user], [team], [user, team]]
    assert service.arrived[0].headers["Authorization"] == "GenieKey k3y"
    assert service.arrived[2].json["message"] == "S"
    assert {arrived.json["priority"] for arrived in service.arrived} == {"P2"}


def test_twilio_gets_a_form_for_each_number(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwilioSMS, "_origin", service.url)
    service.answers = [(201, "{}")] * 2
    TwilioSMS(
        account_sid="AC1",
        auth_token="t0ken",
        from_phone_number="18001234567",
        to_phone_numbers=["18004242424", "+4930901820"],
    ).notify("body")
    assert {arrived.path for arrived in service.arrived} == {"/2010-04-01/Accounts/AC1/Messages.json"}
    assert service.arrived[0].form == {"From": ["+18001234567"], "To": ["+18004242424"], "Body": ["body"]}
    assert service.arrived[1].form["To"] == ["+4930901820"]
    login = service.arrived[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(login) == b"AC1:t0ken"


def test_sendgrid_gets_a_mail_and_its_words_are_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SendgridEmail, "_origin", service.url)
    service.answers = [(202, ""), (401, '{"errors": [{"message": "The provided authorization grant is invalid"}]}')]
    block = SendgridEmail(api_key="SG.key", sender_email="a@example.com", to_emails=["b@example.com", "c@example.com"])
    block.notify("body", subject="S")
    mail = service.arrived[0].json
    assert service.arrived[0].headers["Authorization"] == "Bearer SG.key"
    assert mail["personalizations"] == [{"to": [{"email": "b@example.com"}, {"email": "c@example.com"}]}]
    assert (mail["from"], mail["subject"]) == ({"email": "a@example.com"}, "S")
    assert mail["content"] == [{"type": "text/plain", "value": "body"}]
    with pytest.raises(DeliveryError, match=r"Sendgrid Email: .* \(401\): The provided authorization grant is invalid"):
        block.notify("body")


def test_a_custom_webhook_puts_message_and_secrets_where_they_belong(service: Service) -> None:
    CustomWebhookNotificationBlock(
        name="pager",
        url=f"{service.url}/send?from={{{{name}}}}",
        method="PUT",
        params={"q": "{{ subject }}"},
        json_data={"text": ["{{subject}}: {{body}}"], "token": "{{token}}"},
        headers={"X-Token": "{{token}}"},
        cookies={"session": "{{token}}"},
        secrets={"token": "s3cr3t"},
    ).notify('say "{{token}}"', subject="a&b")
    (arrived,) = service.arrived
    assert (arrived.method, arrived.path) == ("PUT", "/send?from=pager&q=a%26b")
    assert arrived.json == {"text": ['a&b: say "{{token}}"'], "token": "s3cr3t"}
    assert (arrived.headers["X-Token"], arrived.headers["Cookie"]) == ("s3cr3t", "session=s3cr3t")


def test_a_place_that_stands_for_nothing_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(pydantic.ValidationError, match=r"json_data: \{\{bdoy\}\} stands for nothing.* mean 'body'\?"):
        CustomWebhookNotificationBlock(name="x", url="https://example.com", json_data={"text": "{{bdoy}}"})


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_service_that_cannot_now_is_asked_again(service: Service, status: int) -> None:
    service.answers = [(status, "later"), (status, "later"), (200, "ok")]
    SlackWebhook(url=service.url).notify("hello")
    assert len(service.arrived) == 3


def test_a_service_that_never_can_is_asked_four_times(service: Service) -> None:
    service.answers = [(503, "down for repair")] * 9
    with pytest.raises(DeliveryError, match=r"\(503\): down for repair"):
        SlackWebhook(url=service.url).notify("hello")
    assert len(service.arrived) == 4


def test_a_message_is_not_lost_with_an_answer(service: Service) -> None:
    service.answers = [(0, "")]
    SlackWebhook(url=service.url).notify("hello")
    assert len(service.arrived) == 2


def test_a_refusal_is_told_in_the_services_words_without_the_secret(service: Service) -> None:
    url = f"{service.url}/services/{SECRET}"
    service.answers = [(404, f"no_team behind {url}")]
    with pytest.raises(DeliveryError) as caught:
        SlackWebhook(url=url).notify("hello")
    assert "no_team" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(service.arrived) == 1


def test_an_error_of_the_network_does_not_tell_the_secret(tmp_path: Any) -> None:
    with pytest.raises(DeliveryError) as caught:
        Webhook(url=f"http://127.0.0.1:1/{SECRET}", method="PATCH").call({})
    told = repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    assert "127.0.0.1" in told
    assert SECRET not in told


def test_a_url_that_is_none_is_refused_without_being_told() -> None:
    for url in (f"htp://{SECRET}", f"https:///{SECRET}", f"https://host/{SECRET} x"):
        with pytest.raises(pydantic.ValidationError) as caught:
            SlackWebhook(url=url)
        assert SECRET not in str(caught.value)


def test_an_address_of_a_private_network_gets_nothing_where_that_is_not_allowed(service: Service) -> None:
    for block in (
        SlackWebhook(url=service.url, allow_private_urls=False),
        Webhook(url=service.url, allow_private_urls=False),
    ):
        with pytest.raises(DeliveryError, match="private network"):
            block.notify("x") if isinstance(block, SlackWebhook) else block.call()
    assert not service.arrived


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(pydantic.ValidationError, match="Did you mean 'warning'"):
        SlackWebhook(url="https://example.com", notify_type="warnign")
    assert SlackWebhook(url="https://example.com", notify_type="prefect_default").notify_type == "default"


def test_a_webhook_is_called_with_its_secret_headers_and_answers(service: Service) -> None:
    service.answers = [(418, '{"tea": true}')]
    answer = Webhook(url=f"{service.url}/x?y=1", headers={"X-Key": "k3y"}).call({"a": 1})
    assert (answer.status_code, answer.json(), answer.is_success) == (418, {"tea": True}, False)
    (arrived,) = service.arrived
    assert (arrived.method, arrived.path, arrived.json) == ("POST", "/x?y=1", {"a": 1})
    assert arrived.headers["X-Key"] == "k3y"


def test_a_webhook_call_that_may_have_been_acted_on_is_not_repeated(service: Service) -> None:
    service.answers = [(500, "")]
    assert Webhook(url=service.url).call({}).status_code == 500
    service.answers = [(0, "")]
    with pytest.raises(DeliveryError):
        Webhook(url=service.url).call({})
    service.answers = [(500, "")]
    assert Webhook(url=service.url, method="PUT").call({}).status_code == 200
    assert [arrived.method for arrived in service.arrived] == ["POST", "POST", "PUT", "PUT"]


def test_references_are_resolved_when_a_message_is_sent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    block = SlackWebhook(url="${env:HOOK_URL}/x")
    with pytest.raises(ConfigurationError, match="HOOK_URL"):
        block.notify("hello")
    monkeypatch.setenv("HOOK_URL", service.url)
    block.notify("hello")
    assert service.arrived[0].path == "/x"
    assert block.url.get_secret_value() == "${env:HOOK_URL}/x"


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with mail_service() as server:
        yield server


def mailer(server: MailServer, **fields: Any) -> SmtpEmail:
    given = {"security": "none", "sender_email": "a@example.com", "to_emails": ["b@example.com"], **fields}
    return SmtpEmail(host="127.0.0.1", port=server.server_address[1], **given)


def test_a_mail_arrives_with_its_subject_and_after_a_login(mail_server: MailServer) -> None:
    mailer(mail_server, username="u", password="p4ss").notify("Größe: 1 GB", subject="Done\nBcc: x@example.com")
    (mail,) = mail_server.mails
    assert "Subject: Done Bcc: x@example.com" in mail
    assert "To: b@example.com" in mail
    assert "Message-ID: <" in mail
    assert any(command.startswith("AUTH PLAIN") for command in mail_server.commands)


def test_a_mail_server_that_cannot_now_is_asked_again(mail_server: MailServer) -> None:
    mail_server.replies["MAIL"] = ["451 greylisted, come back"]
    mailer(mail_server).notify("body")
    assert len(mail_server.mails) == 1


def test_a_mail_server_that_refuses_is_quoted_and_not_asked_again(mail_server: MailServer) -> None:
    mail_server.replies["RCPT"] = ["550 no such user", "550 no such user"]
    with pytest.raises(DeliveryError, match=r"b@example.com: 550 no such user"):
        mailer(mail_server).notify("body")
    assert not mail_server.mails


def test_a_password_is_not_sent_where_the_server_offers_no_encryption(mail_server: MailServer) -> None:
    with pytest.raises(DeliveryError, match="STARTTLS"):
        mailer(mail_server, security="starttls", username="u", password="p4ss").notify("body")
    assert not any("AUTH" in command for command in mail_server.commands)
