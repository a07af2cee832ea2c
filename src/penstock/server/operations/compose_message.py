"""What a message says: read from the run, its state and the end of its log when the message goes out."""

import logging
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.reasons import Reason
from penstock.model.states import State, StateDetails, StateType
from penstock.server.database import tables as t
from penstock.server.database.connection import Transaction
from penstock.server.database.rows import state_from
from penstock.server.rules.notifications import LINES, Event, Line, Message, compose

#: How many of the runs that a message stands for it names.
NAMED = 10
_SAMPLE_LINES = ("Reading yesterday's orders", "Penstock: this is a test of a notification policy; no run has failed")


def compose_message(tx: Transaction, row: sa.Row[Any], policy: sa.Row[Any], ui_url: str) -> Message | None:
    """The message of `row`, a row of notification_delivery. None if its run is gone."""
    event = _event(tx, row, ui_url) if row.flow_run_id is not None else sample_event(tx, policy.id, ui_url)
    return compose(event, policy.message_template) if event is not None else None


def sample_event(tx: Transaction, policy_id: UUID, ui_url: str) -> Event:
    """Made-up values for a test."""
    run_id = UUID(int=0)
    details = StateDetails(reason=Reason.USER_CODE_RAISED)
    message = "This is a test of a notification policy. ValueError: no orders"
    state = State(type=StateType.FAILED, message=message, timestamp=tx.now, state_details=details)
    return Event(
        policy_id=policy_id,
        flow_id=run_id,
        flow_name="example-flow",
        flow_run_id=run_id,
        flow_run_name="test-run",
        parameters={"day": "2030-01-31"},
        state=state,
        lines=[Line(tx.now, level, text) for level, text in zip(("INFO", "ERROR"), _SAMPLE_LINES, strict=True)],
        url=_url(ui_url, run_id),
    )


def _event(tx: Transaction, row: sa.Row[Any], ui_url: str) -> Event | None:
    run = tx.execute(
        sa.select(
            t.flow_run.c.id,
            t.flow_run.c.name,
            t.flow_run.c.parameters,
            t.flow.c.id.label("flow_id"),
            t.flow.c.name.label("flow_name"),
            t.deployment.c.name.label("deployment_name"),
        )
        .join(t.flow, t.flow.c.id == t.flow_run.c.flow_id)
        .outerjoin(t.deployment, t.deployment.c.id == t.flow_run.c.deployment_id)
        .where(t.flow_run.c.id == row.flow_run_id)
    ).one_or_none()
    state = tx.execute(sa.select(t.flow_run_state).where(t.flow_run_state.c.id == row.state_id)).one_or_none()
    if run is None or state is None:
        return None
    more, others = _others(tx, row.id)
    return Event(
        policy_id=row.policy_id,
        flow_id=run.flow_id,
        flow_name=run.flow_name,
        flow_run_id=run.id,
        flow_run_name=run.name,
        parameters=run.parameters,
        state=state_from(state),
        deployment_name=run.deployment_name or "",
        lines=_last_lines(tx, run.id),
        url=_url(ui_url, run.id),
        more=more,
        others=others,
    )


def _others(tx: Transaction, delivery_id: UUID) -> tuple[int, list[str]]:
    """How many further runs the message stands for, and the first of them as "flow/run is Failed"."""
    gathered = t.notification_delivery.c.gathered_into == delivery_id
    count = tx.execute(sa.select(sa.func.count()).where(gathered)).scalar_one()
    if count == 0:
        return 0, []
    rows = tx.execute(
        sa.select(t.flow.c.name.label("flow"), t.flow_run.c.name.label("run"), t.flow_run_state.c.name.label("state"))
        .select_from(t.notification_delivery)
        .join(t.flow_run, t.flow_run.c.id == t.notification_delivery.c.flow_run_id)
        .join(t.flow, t.flow.c.id == t.flow_run.c.flow_id)
        .join(t.flow_run_state, t.flow_run_state.c.id == t.notification_delivery.c.state_id)
        .where(gathered)
        .order_by(t.notification_delivery.c.created, t.notification_delivery.c.id)
        .limit(NAMED)
    )
    return count, [f"{row.flow}/{row.run} is {row.state}" for row in rows]


def _last_lines(tx: Transaction, flow_run_id: UUID) -> list[Line]:
    log = t.log.c
    newest = tx.execute(
        sa.select(log.timestamp, log.level, log.message)
        .where(log.flow_run_id == flow_run_id)
        .order_by(log.timestamp.desc(), log.position.desc())
        .limit(LINES)
    ).all()
    return [Line(row.timestamp, logging.getLevelName(row.level), row.message) for row in reversed(newest)]


def _url(ui_url: str, flow_run_id: UUID) -> str:
    return f"{ui_url.rstrip('/')}/flow-runs/flow-run/{flow_run_id}" if ui_url else ""
