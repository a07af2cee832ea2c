"""Which states a policy tells of, what the message says, and when a failed try is repeated. Pure."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from penstock.model.block_documents import MASK
from penstock.model.message_templates import fill
from penstock.model.secret_texts import is_secret, masked, names_a_secret
from penstock.model.states import State
from penstock.model.transitions import NAMES
from penstock.server.rules.reasons import REASONS

#: Most log lines of a message, and most characters of them together and of each other part.
LINES, LOG_CHARACTERS, PART_CHARACTERS = 10, 2_000, 2_000
#: How alike a name and a known one must be to be taken for a slip.
_ALIKE = 0.8
#: Longest wait in seconds between two tries, unless the service asks for a longer one; and the longest that it may ask for.
LONGEST_WAIT, LONGEST_ASKED_FOR = 3600.0, 86_400.0


@dataclass(frozen=True)
class Watch:
    """A policy as every change of a state is held against it."""

    policy_id: UUID
    state_names: frozenset[str]
    tags: frozenset[str]

    def fits(self, state_name: str | None, tags: Collection[str]) -> bool:
        """Whether it tells of a run with `tags` that enters the state. Nothing named means all."""
        return (not self.state_names or state_name in self.state_names) and (
            not self.tags or not self.tags.isdisjoint(tags)
        )


@dataclass(frozen=True)
class Line:
    """One line of a run's log."""

    timestamp: datetime
    level: str
    message: str


@dataclass(frozen=True)
class Event:
    """What a message is about. `others`: names of the first of `more` further runs that it stands for."""

    policy_id: UUID
    flow_id: UUID
    flow_name: str
    flow_run_id: UUID
    flow_run_name: str
    parameters: dict[str, Any]
    state: State
    deployment_name: str = ""
    lines: Sequence[Line] = ()
    url: str = ""
    more: int = 0
    others: Sequence[str] = ()


@dataclass(frozen=True)
class Message:
    subject: str
    body: str


def probably_meant(state_name: str) -> str | None:
    """The state that `state_name` is a slip for: None if it is one of the known names, or like none of them."""
    known = [name for names in NAMES.values() for name in names]
    if state_name in known:
        return None
    for name in known:
        if name.lower() == state_name.strip().lower():
            return name
    return next(iter(get_close_matches(state_name, known, n=1, cutoff=_ALIKE)), None)


def compose(event: Event, template: str | None) -> Message:
    """The message of a policy with that template; without one, that of the house."""
    values = values_of(event)
    name, more = f"{values['flow_name']}/{values['flow_run_name']}", values["more"]
    subject = f"{name}: {values['flow_run_state_name']}{f' {more}' if more else ''}"
    if template is not None:
        body = fill(template, values)
        return Message(subject, f"{body}\n{more}" if more and "{more}" not in template else body)
    return Message(subject, _own_words(event, values, name))


def values_of(event: Event) -> dict[str, str]:
    """What the variables of a template stand for."""
    details, at = event.state.state_details, event.state.timestamp
    known_hint = REASONS[details.reason][1] if details.reason is not None else ""
    return {
        "flow_run_notification_policy_id": str(event.policy_id),
        "flow_id": str(event.flow_id),
        "flow_name": event.flow_name,
        "flow_run_url": event.url,
        "flow_run_id": str(event.flow_run_id),
        "flow_run_name": event.flow_run_name,
        "flow_run_parameters": _cut(json.dumps(_without_secrets(event.parameters), ensure_ascii=False)),
        "flow_run_state_type": event.state.type.value,
        "flow_run_state_name": event.state.name or "",
        "flow_run_state_timestamp": f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "",
        "flow_run_state_message": _cut(event.state.message or ""),
        "deployment_name": event.deployment_name,
        "reason": details.reason.value if details.reason else "",
        "hint": _cut(details.hint or known_hint),
        "last_lines": last_lines(event.lines),
        "url": event.url,
        "more": f"and {event.more} more" if event.more else "",
    }


def last_lines(lines: Sequence[Line]) -> str:
    """The newest of `lines` that fit, each with its time and level; a single one that is too long is cut at its start."""
    shown: list[str] = []
    room = LOG_CHARACTERS
    for line in reversed(lines[-LINES:]):
        text = f"{line.timestamp:%H:%M:%S} {line.level} {line.message}"
        if len(text) > room:
            if not shown:
                shown.append("…" + text[len(text) - room + 1 :])
            break
        room -= len(text) + 1
        shown.append(text)
    return "\n".join(reversed(shown))


def _own_words(event: Event, values: dict[str, str], name: str) -> str:
    parts = [f"{name} is {values['flow_run_state_name']} since {values['flow_run_state_timestamp']}."]
    if event.deployment_name:
        parts.append(f"Deployment: {values['flow_name']}/{event.deployment_name}")
    if values["flow_run_state_message"]:
        parts.append(values["flow_run_state_message"])
    if values["reason"]:
        parts.append(f"Reason: {values['reason']}. {values['hint']}".rstrip())
    elif values["hint"]:
        parts.append(values["hint"])
    if values["last_lines"]:
        parts.append(f"Last lines of its log:\n{values['last_lines']}")
    if event.more:
        listed = ", ".join(event.others)
        rest = event.more - len(event.others)
        parts.append(f"{values['more']}: {listed}{f' … and {rest} others' if rest else ''}")
    parts.append(values["url"] or f"penstock flow-run inspect {values['flow_run_id']}")
    return "\n\n".join(parts)


def _without_secrets(parameters: dict[str, Any]) -> dict[str, Any]:
    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: MASK if names_a_secret(str(key)) and is_secret(item) else shown(item)
                for key, item in value.items()
            }
        return [shown(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = shown(masked(parameters))
    return found


def _cut(text: str) -> str:
    return text if len(text) <= PART_CHARACTERS else text[: PART_CHARACTERS - 1] + "…"


def wait_after(tries: int, first: float, asked_for: float | None, chance: float) -> float:
    """Seconds until a message that has failed `tries` times is tried again.

    The wait doubles from `first` on and differs by up to a quarter either way, by `chance` (0 to 1), so that messages that have
    failed together do not come back together. What the service has asked for (Retry-After) is waited for at least.
    """
    wait = min(LONGEST_WAIT, first * 2.0 ** min(tries - 1, 30)) * (0.75 + chance / 2)
    return max(wait, min(asked_for, LONGEST_ASKED_FOR) * (1 + chance / 10)) if asked_for is not None else wait


@dataclass(frozen=True)
class Share:
    """What of the messages of a policy that are due goes out now: `alone`, and whether one more gathers all others."""

    alone: int
    gather: bool


def share_out(due: int, allowance: int, room: int) -> Share:
    """`allowance`: how many messages the policy may still send in this span of time, at least 1. `room`: how many the
    notifier process takes at present, at least 1."""
    if due <= allowance:
        return Share(min(due, room), False)
    alone = min(allowance - 1, room)
    return Share(alone, gather=alone == allowance - 1 and alone < room)
