"""Texts of messages with places for what a run was and did: ``{flow_name} is {flow_run_state_name}``. Pure."""

from collections.abc import Mapping
from string import Formatter

from penstock.errors import did_you_mean

#: What a template may name, and what it stands for. The first eleven are named as in Prefect 2.
VARIABLES: dict[str, str] = {
    "flow_run_notification_policy_id": "id of the policy",
    "flow_id": "id of the flow",
    "flow_name": "name of the flow",
    "flow_run_url": "address of the run in the user interface; empty unless PENSTOCK_UI_URL is set",
    "flow_run_id": "id of the run",
    "flow_run_name": "name of the run",
    "flow_run_parameters": "parameters of the run, as JSON; what bears a secret's name is masked",
    "flow_run_state_type": "type of the state: FAILED",
    "flow_run_state_name": "name of the state: Failed, TimedOut",
    "flow_run_state_timestamp": "when the run entered the state",
    "flow_run_state_message": "what was said of the state",
    "deployment_name": "name of the deployment; empty if the run has none",
    "reason": "why, in one word: see the page of reasons",
    "hint": "what to do about it, where that is known",
    "last_lines": "the last lines of the run's log",
    "url": "the same as flow_run_url",
    "more": 'how many further runs the message stands for, as "and 37 more"; empty if it is one',
}

#: Most characters of a template.
LONGEST_TEMPLATE = 10_000


def check_template(template: str) -> str:
    """Return `template`, or raise ValueError, with the nearest variable, if it names what it may not or cannot be read."""
    if len(template) > LONGEST_TEMPLATE:
        raise ValueError(f"a message template has at most {LONGEST_TEMPLATE} characters, not {len(template)}")
    for name in _names(template):
        if name not in VARIABLES:
            near = did_you_mean(name, VARIABLES) or f" Known: {', '.join(VARIABLES)}."
            raise ValueError(f"there is no variable {{{name}}} for message templates.{near}")
    return template


def fill(template: str, values: Mapping[str, str]) -> str:
    """A checked `template` with its variables replaced; what `values` does not have is empty."""
    parts: list[str] = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            parts.append(values.get(name, ""))
    return "".join(parts)


def _names(template: str) -> list[str]:
    """The variables that stand in `template`. Raises ValueError if it cannot be read."""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"the message template cannot be read: {error}. Write {{{{ and }}}} for braces") from None
    names = []
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if form or conversion:
            raise ValueError(f"{{{name}…}}: a variable stands alone between its braces, without form or conversion")
        names.append(name)
    return names
