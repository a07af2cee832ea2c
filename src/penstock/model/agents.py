from datetime import datetime

from pydantic import Field

from penstock.model.base import Stored


class Agent(Stored):
    """An agent as the server last heard of it. `online`: its lease has not run out. `away`: infrastructure types whose platform
    does not answer it, and what came of asking."""

    name: str
    host: str | None = None
    version: str | None = None
    work_pool: str | None = None
    work_pools: list[str] = Field(default_factory=list)
    work_queues: list[str] = Field(default_factory=list)
    work_queue_prefixes: list[str] = Field(default_factory=list)
    capabilities: list[str] = Field(default_factory=list)
    away: dict[str, str] = Field(default_factory=dict)
    reaches: list[str] = Field(default_factory=list)
    limit: int | None = None
    ramp_up: int | None = None
    draining: bool = False
    last_polled: datetime | None = None
    online: bool = False
    open_attempts: int = 0
    lease_expires_at: datetime | None = None
