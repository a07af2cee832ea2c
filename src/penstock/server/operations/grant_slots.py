"""Give slots of limits to those who wait for them, in one transaction for the whole line."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from penstock.model.base import new_id
from penstock.model.concurrency_limits import SlotMode, SlotWish
from penstock.model.states import TERMINAL, StateType
from penstock.server.database.connection import Transaction
from penstock.server.database.slots import lock_global_limits, lock_tag_limits, slots_of_limits
from penstock.server.database.tables import concurrency_limit_v2, concurrency_slot, flow_run
from penstock.server.rules.concurrency import Room, Wish, choose, decayed, seconds_until_free

_log = logging.getLogger("penstock.server.slots")


@dataclass(frozen=True)
class Terms:
    """`lease`: seconds. `judge_leases`: whether slots whose lease has run out are free; not while holders come back."""

    lease: float
    judge_leases: bool


@dataclass
class Grants:
    """`look_again`: seconds after which time alone may have made room."""

    granted: list[UUID] = field(default_factory=list)
    denied: dict[UUID, str] = field(default_factory=dict)
    unknown_names: set[str] = field(default_factory=set)
    look_again: float | None = None


@dataclass
class _Limits:
    """The limits of all wishes: what is taken of each by rows and by what decays, and who holds a row."""

    ids: dict[tuple[str, str], UUID]
    labels: dict[UUID, str]
    limit: dict[UUID, int]
    decay: dict[UUID, float]
    loose: dict[UUID, float]
    rows: dict[UUID, int]
    held: set[tuple[UUID, UUID]]

    def room(self, limit_id: UUID) -> Room:
        return Room(self.limit[limit_id], self.rows[limit_id] + self.loose[limit_id])


def grant_slots(tx: Transaction, line: Sequence[tuple[SlotWish, bool]], terms: Terms) -> Grants:
    """Grant what can be granted to `line`: wishes, the first come first, and whether each of them is there to be granted."""
    grants = Grants()
    over = _runs_over(tx, [wish for wish, _ in line])
    limits, expiry = _read_limits(tx, [wish for wish, _ in line], terms, grants)
    waiting: list[Wish] = []
    by_holder: dict[UUID, SlotWish] = {}
    for wish, present in line:
        message = _denial(wish, limits, over)
        if message is not None:
            grants.denied[wish.holder_id] = message
            continue
        waiting.append(Wish(wish.holder_id, _wanted(wish, limits), wish.slots, present))
        by_holder[wish.holder_id] = wish
    chosen = choose(waiting, {limit_id: limits.room(limit_id) for limit_id in limits.limit})
    _take(tx, [(by_holder[wish.holder], wish) for wish in chosen], limits, terms)
    grants.granted = [wish.holder for wish in chosen]
    left = [wish for wish in waiting if wish.holder not in set(grants.granted)]
    grants.look_again = _look_again(left, limits, (expiry - tx.now).total_seconds() if expiry else None)
    return grants


def _runs_over(tx: Transaction, wishes: Sequence[SlotWish]) -> dict[UUID, str]:
    """Run id -> why it gets no slots. The other runs cannot end before this transaction does."""
    ids = sorted({wish.flow_run_id for wish in wishes if wish.flow_run_id is not None}, key=str)
    if not ids:
        return {}
    columns = sa.select(flow_run.c.id, flow_run.c.state_type).where(flow_run.c.id.in_(ids))
    found = {row.id: row.state_type for row in tx.execute(columns.order_by(flow_run.c.id).with_for_update(read=True))}
    over = {run_id: f"There is no flow run {run_id}" for run_id in ids if run_id not in found}
    for run_id, kind in found.items():
        if kind is not None and StateType(kind) in TERMINAL:
            over[run_id] = f"The flow run {run_id} is over: it is {kind}"
    return over


def _read_limits(tx: Transaction, wishes: Sequence[SlotWish], terms: Terms, grants: Grants) -> tuple[_Limits, Any]:
    """The limits, and when the first of their leases runs out. Leases that have run out are removed."""
    by_tag = lock_tag_limits(tx, [tag for wish in wishes for tag in wish.tags])
    names = {name for wish in wishes for name in wish.names}
    by_name = lock_global_limits(tx, names)
    grants.unknown_names = names - {row.name for row in by_name}
    active = [row for row in by_name if row.active]
    found = _Limits(
        ids={("tag", row.tag): row.id for row in by_tag} | {("name", row.name): row.id for row in active},
        labels={row.id: row.tag for row in by_tag} | {row.id: row.name for row in active},
        limit={row.id: row.concurrency_limit for row in by_tag} | {row.id: row.limit for row in active},
        decay={row.id: row.slot_decay_per_second for row in active},
        loose=dict.fromkeys([row.id for row in by_tag], 0.0),
        rows=dict.fromkeys([row.id for row in (*by_tag, *active)], 0),
        held=set(),
    )
    for row in active:
        found.loose[row.id] = decayed(row.slots, row.slots_at, row.slot_decay_per_second, tx.now)
    expiry, expired = None, []
    for row in slots_of_limits(tx, list(found.limit)):
        if terms.judge_leases and row.expires_at is not None and row.expires_at <= tx.now:
            expired.append(row)
            continue
        found.rows[row.limit_id] += row.slots
        found.held.add((row.limit_id, row.holder_id))
        if row.expires_at is not None:
            expiry = row.expires_at if expiry is None else min(expiry, row.expires_at)
    if expired:
        tx.execute(sa.delete(concurrency_slot).where(concurrency_slot.c.id.in_([row.id for row in expired])))
        for row in expired:
            name = found.labels[row.limit_id]
            _log.warning("A slot of %r is free again: its holder %s did not renew it in time", name, row.holder_id)
    return found, expiry


def _wanted(wish: SlotWish, limits: _Limits) -> list[UUID]:
    """Ids of the limits of which the holder still needs slots."""
    keys = [("tag", tag) for tag in wish.tags] + [("name", name) for name in wish.names]
    ids = [limits.ids[key] for key in dict.fromkeys(keys) if key in limits.ids]
    return [limit_id for limit_id in ids if (limit_id, wish.holder_id) not in limits.held]


def _denial(wish: SlotWish, limits: _Limits, over: dict[UUID, str]) -> str | None:
    """Why no waiting can fulfil the wish, if that is so. A limit of 0 may be raised: that is waited for."""
    if wish.flow_run_id in over:
        return over[wish.flow_run_id]
    for name in wish.names:
        limit_id = limits.ids.get(("name", name))
        if limit_id is None:
            continue
        most = limits.limit[limit_id]
        if 0 < most < wish.slots:
            return f"{wish.slots} slots of the concurrency limit {name!r} were asked for, but there are only {most}"
        if wish.mode is SlotMode.RATE_LIMIT and limits.decay[limit_id] <= 0:
            return (
                f"The concurrency limit {name!r} cannot limit a rate, because its slots do not decay: set "
                "slot_decay_per_second"
            )
    return None


def _take(tx: Transaction, chosen: list[tuple[SlotWish, Wish]], limits: _Limits, terms: Terms) -> None:
    rows: list[dict[str, Any]] = []
    added: dict[UUID, float] = {}
    for wish, granted in chosen:
        for limit_id in granted.limits:
            if wish.mode is SlotMode.RATE_LIMIT:
                added[limit_id] = added.get(limit_id, 0.0) + wish.slots
                continue
            rows.append(
                {
                    "id": new_id(),
                    "created": tx.now,
                    "updated": tx.now,
                    "limit_id": limit_id,
                    "holder_id": wish.holder_id,
                    "slots": wish.slots,
                    "flow_run_id": wish.flow_run_id,
                    "expires_at": tx.now + timedelta(seconds=terms.lease) if wish.leased else None,
                }
            )
    if rows:
        tx.execute(sa.insert(concurrency_slot), rows)
    for limit_id, slots in added.items():
        values = {"slots": limits.loose[limit_id] + slots, "slots_at": tx.now}
        tx.execute(sa.update(concurrency_limit_v2).where(concurrency_limit_v2.c.id == limit_id).values(values))
        limits.loose[limit_id] += slots
    for row in rows:
        limits.rows[row["limit_id"]] += row["slots"]


def _look_again(waiting: Sequence[Wish], limits: _Limits, expires_in: float | None) -> float | None:
    times = [expires_in] if expires_in is not None and waiting else []
    for wish in waiting:
        for limit_id in wish.limits:
            decay = limits.decay.get(limit_id, 0.0)
            if decay > 0:
                room = limits.room(limit_id)
                seconds = seconds_until_free(room, wish.slots, limits.loose[limit_id], decay)
                times += [seconds] if seconds else []
    return min(times) if times else None
