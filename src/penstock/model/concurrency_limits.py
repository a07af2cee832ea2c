"""Limits of concurrency, and the slots that are taken of them.

A tag limit says how many task runs with a tag may run at once; a global limit has a name, and code asks for its slots.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from penstock.model.base import Data, Name, Request, Stored

#: Longest wait in seconds of one request for slots.
LONGEST_WAIT = 20.0


class ConcurrencyLimit(Stored):
    """A tag limit. `active_slots`: the task runs that hold a slot now."""

    tag: str
    concurrency_limit: int
    active_slots: list[UUID] = Field(default_factory=list)


class ConcurrencyLimitCreate(Request):
    tag: str = Field(min_length=1)
    concurrency_limit: int = Field(ge=0)


class ConcurrencyLimitReset(Request):
    """The task runs that shall hold the slots from now on: none, if none are named."""

    slot_override: list[UUID] | None = None


class ConcurrencyLimitList(Request):
    limit: int | None = Field(default=None, ge=0, le=200)
    offset: int = Field(default=0, ge=0)


class GlobalConcurrencyLimit(Stored):
    """A limit with a name. One that is not `active` holds nobody up.

    `active_slots`: how many are taken now. `slot_decay_per_second`: how many of those that were taken for a rate come free
    each second.
    """

    name: str
    limit: int
    active: bool = True
    active_slots: int = 0
    denied_slots: int = 0
    slot_decay_per_second: float = 0.0
    avg_slot_occupancy_seconds: float = 2.0


class GlobalConcurrencyLimitCreate(Request):
    name: Name
    limit: int = Field(ge=0)
    active: bool = True
    active_slots: int = Field(default=0, ge=0)
    denied_slots: int = Field(default=0, ge=0)
    slot_decay_per_second: float = Field(default=0.0, ge=0)


class GlobalConcurrencyLimitUpdate(Request):
    """Only fields that are given are changed. `active_slots`: so many are taken from now on, and nobody holds them."""

    name: Name | None = None
    limit: int | None = Field(default=None, ge=0)
    active: bool | None = None
    active_slots: int | None = Field(default=None, ge=0)
    denied_slots: int | None = Field(default=None, ge=0)
    slot_decay_per_second: float | None = Field(default=None, ge=0)


class SlotMode(StrEnum):
    #: taken until they are given back
    CONCURRENCY = "concurrency"
    #: taken, and free again at the rate at which the limit's slots decay
    RATE_LIMIT = "rate_limit"


class SlotIncrement(Request):
    """Slots that are taken without a holder, as clients of Prefect 2 do."""

    names: list[str] = Field(min_length=1)
    slots: int = Field(gt=0)
    mode: SlotMode = SlotMode.CONCURRENCY


class SlotDecrement(Request):
    names: list[str] = Field(min_length=1)
    slots: int = Field(gt=0)
    occupancy_seconds: float | None = Field(default=None, gt=0)


class MinimalConcurrencyLimit(Data):
    id: UUID
    name: str
    limit: int


class SlotWish(Request):
    """One holder's wish for `slots` of each limit that it names, of all of them or none.

    `holder_id`: the task run, or an id that the holder made for itself; who asks again under it gets the same slots.
    `flow_run_id`: the slots are given back when this run is over. `leased`: and also unless they are renewed; within
    a run its reports do that.
    """

    holder_id: UUID
    tags: list[str] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    slots: int = Field(default=1, gt=0)
    mode: SlotMode = SlotMode.CONCURRENCY
    flow_run_id: UUID | None = None
    leased: bool = True


class SlotRequest(Request):
    """What a process wishes for. Answered as soon as one of the wishes is decided, or after `wait_seconds`."""

    wishes: list[SlotWish] = Field(min_length=1, max_length=1000)
    wait_seconds: float = Field(default=0.0, ge=0, le=LONGEST_WAIT)


class SlotDenial(Data):
    """A wish that no waiting can fulfil."""

    holder_id: UUID
    message: str


class SlotAnswer(Data):
    """What became of the wishes: those not named here still wait, and keep their place if they are soon asked again.

    `unknown_names`: names of limits that do not exist, which hold nobody up. `lease_seconds`: for how long leased slots
    are held without being renewed.
    """

    granted: list[UUID] = Field(default_factory=list)
    denied: list[SlotDenial] = Field(default_factory=list)
    unknown_names: list[str] = Field(default_factory=list)
    lease_seconds: float


class SlotHolders(Request):
    """Whose slots to renew, or to give back."""

    holder_ids: list[UUID] = Field(min_length=1, max_length=1000)


class SlotRenewal(Data):
    """`lost`: those of the holders that hold nothing any more."""

    lost: list[UUID] = Field(default_factory=list)
    lease_seconds: float


class SlotHolder(Data):
    """Who holds `slots` of a limit `since` when. Only a lease has `expires_at`; `flow_run_id`: the run they are bound to."""

    holder_id: UUID
    slots: int
    since: datetime
    flow_run_id: UUID | None = None
    expires_at: datetime | None = None
