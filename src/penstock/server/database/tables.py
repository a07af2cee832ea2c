"""The schema: every table, in one sitting. Migrations in `migrations/` build exactly this; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(TypeDecorator[datetime]):
    """An aware datetime in UTC: microseconds since 1970 in SQLite, a timestamp with time zone in PostgreSQL."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        seconds, micros = divmod(int(value), 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s__%(column_0_N_name)s",
        "uq": "uq_%(table_name)s__%(column_0_N_name)s",
        "fk": "fk_%(table_name)s__%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _base() -> list[Column[Any]]:
    return [
        Column("id", Uuid(), primary_key=True),
        Column("created", Timestamp, nullable=False),
        Column("updated", Timestamp, nullable=False),
    ]


def _open(condition: str) -> dict[str, Any]:
    """A partial index on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


flow = Table(
    "flow",
    metadata,
    *_base(),
    Column("name", String, nullable=False, unique=True),
    Column("tags", Json, nullable=False),
    Index(None, "created", "id"),
)

work_pool = Table(
    "work_pool",
    metadata,
    *_base(),
    Column("name", String, nullable=False, unique=True),
    Column("description", Text),
    Column("type", String, nullable=False),
    Column("base_job_template", Json, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),
    Column("default_queue_id", Uuid()),
)

work_queue = Table(
    "work_queue",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("work_pool_id", Uuid(), ForeignKey("work_pool.id", ondelete="CASCADE"), nullable=False),
    Column("description", Text),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),
    Column("priority", Integer, nullable=False),
    Column("filter", Json),
    Column("last_polled", Timestamp),
    UniqueConstraint("work_pool_id", "name"),
)

block_type = Table(
    "block_type",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("slug", String, nullable=False, unique=True),
    Column("logo_url", String),
    Column("documentation_url", String),
    Column("description", Text),
    Column("code_example", Text),
    Column("is_protected", Boolean, nullable=False),
)

block_schema = Table(
    "block_schema",
    metadata,
    *_base(),
    Column("block_type_id", Uuid(), ForeignKey("block_type.id", ondelete="CASCADE"), nullable=False),
    Column("checksum", String, nullable=False),
    Column("version", String, nullable=False),
    Column("fields", Json, nullable=False),
    Column("capabilities", Json, nullable=False),
    UniqueConstraint("checksum", "version"),
    Index(None, "block_type_id"),
)

block_document = Table(
    "block_document",
    metadata,
    *_base(),
    Column("block_type_id", Uuid(), ForeignKey("block_type.id", ondelete="CASCADE"), nullable=False),
    Column("block_schema_id", Uuid(), ForeignKey("block_schema.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("is_anonymous", Boolean, nullable=False),
    #: fields that are not secret, as JSON
    Column("data", Json, nullable=False),
    #: the secrets, sealed: {"key": key id, "token": ciphertext of [[place, value], …], "places": [place, …]}
    Column("sealed", Json),
    UniqueConstraint("block_type_id", "name"),
    Index(None, "name", "id"),
    Index(None, "block_schema_id"),
)

block_document_reference = Table(
    "block_document_reference",
    metadata,
    Column("parent_id", Uuid(), ForeignKey("block_document.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("child_id", Uuid(), ForeignKey("block_document.id", ondelete="CASCADE"), nullable=False),
    Index(None, "child_id"),
)

deployment = Table(
    "deployment",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("flow_id", Uuid(), ForeignKey("flow.id", ondelete="CASCADE"), nullable=False),
    Column("version", String),
    Column("description", Text),
    Column("is_schedule_active", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("infra_overrides", Json, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("pull_steps", Json),
    Column("parameter_openapi_schema", Json),
    Column("enforce_parameter_schema", Boolean, nullable=False),
    Column("path", Text),
    Column("entrypoint", Text),
    Column("manifest_path", Text),
    Column("work_queue_name", String),
    Column("work_queue_id", Uuid(), ForeignKey("work_queue.id", ondelete="SET NULL")),
    Column("storage_document_id", Uuid(), ForeignKey("block_document.id", ondelete="SET NULL")),
    Column("infrastructure_document_id", Uuid(), ForeignKey("block_document.id", ondelete="SET NULL")),
    Column("last_polled", Timestamp),
    Column("created_by", Json),
    Column("updated_by", Json),
    #: how many of its runs may be live at once; null: as many as there are
    Column("concurrency_limit", Integer),
    UniqueConstraint("flow_id", "name"),
    Index(None, "work_queue_id"),
    Index(None, "created", "id"),
    Index(None, "infrastructure_document_id"),
    Index(None, "storage_document_id"),
)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    *_base(),
    Column("deployment_id", Uuid(), ForeignKey("deployment.id", ondelete="CASCADE"), nullable=False),
    Column("schedule", Json, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("max_active_runs", Integer),
    Column("max_scheduled_runs", Integer),
    Column("catchup", Boolean, nullable=False),
    Column("name", String),
    #: laid over the deployment's
    Column("parameters", Json, nullable=False, server_default="{}"),
    Column("catchup_policy", String, nullable=False, server_default="all"),
    #: every time up to this one has its run, or none is owed; null: planning begins whenever it is looked at
    Column("planned_until", Timestamp),
    #: when to look at it next; null: now
    Column("plan_at", Timestamp),
    Index(None, "deployment_id"),
    Index(None, "plan_at"),
)

#: what deployment files and scripts said last, field by field: what was not said by them was changed by people
applied_deployment = Table(
    "applied_deployment",
    metadata,
    Column("deployment_id", Uuid(), ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True),
    Column("updated", Timestamp, nullable=False),
    Column("fields", Json, nullable=False),
)

flow_run = Table(
    "flow_run",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("flow_id", Uuid(), ForeignKey("flow.id", ondelete="CASCADE"), nullable=False),
    Column("deployment_id", Uuid(), ForeignKey("deployment.id", ondelete="SET NULL")),
    Column("deployment_version", String),
    Column("work_queue_id", Uuid(), ForeignKey("work_queue.id", ondelete="SET NULL")),
    Column("work_queue_name", String),
    Column("flow_version", String),
    Column("parameters", Json, nullable=False),
    Column("idempotency_key", String),
    Column("context", Json, nullable=False),
    Column("empirical_policy", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("job_variables", Json, nullable=False),
    Column("parent_task_run_id", Uuid()),
    Column("infrastructure_document_id", Uuid()),
    Column("infrastructure_pid", Text),
    Column("auto_scheduled", Boolean, nullable=False),
    #: which schedule of the deployment has made it; that may be gone
    Column("schedule_id", Uuid()),
    Column("created_by", Json),
    #: the state now, copied from flow_run_state so that lists need one table
    Column("state_id", Uuid()),
    Column("state_type", String),
    Column("state_name", String),
    Column("state_timestamp", Timestamp),
    Column("run_count", Integer, nullable=False),
    Column("expected_start_time", Timestamp),
    Column("next_scheduled_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    #: seconds spent in RUNNING states that are over
    Column("total_run_time", Float, nullable=False),
    #: how often it was launched, and how many of these launches failed for reasons of infrastructure
    Column("attempt_count", Integer, nullable=False),
    Column("infra_failures", Integer, nullable=False),
    UniqueConstraint("flow_id", "idempotency_key"),
    #: with the deployment, so that runs of those whose limit is used up are passed over without reading their rows
    Index(
        "ix_flow_run__due",
        "work_queue_id",
        "next_scheduled_start_time",
        "id",
        "deployment_id",
        **_open("state_type = 'SCHEDULED'"),
    ),
    Index("ix_flow_run__open", "state_type", "state_timestamp", **_open("end_time IS NULL")),
    Index(None, "expected_start_time", "id"),
    Index(None, "start_time", "id"),
    Index(None, "end_time", "id"),
    Index(None, "next_scheduled_start_time", "id"),
    Index(None, "state_type", "expected_start_time", "id"),
    Index(None, "flow_id", "expected_start_time", "id"),
    Index(None, "deployment_id", "expected_start_time", "id"),
    Index(None, "schedule_id", "expected_start_time", **_open("schedule_id IS NOT NULL")),
    Index(None, "parent_task_run_id"),
    Index(None, "name", "id"),
)

flow_run_state = Table(
    "flow_run_state",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("flow_run_id", Uuid(), ForeignKey("flow_run.id", ondelete="CASCADE"), nullable=False),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Column("message", Text),
    Column("data", Json),
    Column("state_details", Json, nullable=False),
    Index(None, "flow_run_id", "timestamp"),
)

task_run = Table(
    "task_run",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("flow_run_id", Uuid(), ForeignKey("flow_run.id", ondelete="CASCADE")),
    Column("task_key", String, nullable=False),
    Column("dynamic_key", String, nullable=False),
    Column("cache_key", String),
    Column("cache_expiration", Timestamp),
    Column("task_version", String),
    Column("empirical_policy", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("task_inputs", Json, nullable=False),
    Column("state_id", Uuid()),
    Column("state_type", String),
    Column("state_name", String),
    Column("state_timestamp", Timestamp),
    Column("run_count", Integer, nullable=False),
    Column("flow_run_run_count", Integer, nullable=False),
    Column("expected_start_time", Timestamp),
    Column("next_scheduled_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    Column("total_run_time", Float, nullable=False),
    UniqueConstraint("flow_run_id", "task_key", "dynamic_key"),
    Index(None, "expected_start_time", "id"),
    Index(None, "end_time", "id"),
)

task_run_state = Table(
    "task_run_state",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("task_run_id", Uuid(), ForeignKey("task_run.id", ondelete="CASCADE"), nullable=False),
    Column("type", String, nullable=False),
    Column("name", String, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Column("message", Text),
    Column("data", Json),
    Column("state_details", Json, nullable=False),
    Index(None, "task_run_id", "timestamp"),
)

task_run_state_cache = Table(
    "task_run_state_cache",
    metadata,
    Column("cache_key", String, primary_key=True),
    Column("task_run_state_id", Uuid(), nullable=False),
    Column("cache_expiration", Timestamp),
    Column("created", Timestamp, nullable=False),
)

log = Table(
    "log",
    metadata,
    #: order of arrival, which for one run is its order of writing
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Uuid(), nullable=False),
    Column("created", Timestamp, nullable=False),
    Column("name", String, nullable=False),
    Column("level", Integer, nullable=False),
    Column("flow_run_id", Uuid()),
    Column("task_run_id", Uuid()),
    Column("message", Text, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Index(None, "flow_run_id", "timestamp", "position"),
    Index(None, "task_run_id", "timestamp", **_open("task_run_id IS NOT NULL")),
)

report_stream = Table(
    "report_stream",
    metadata,
    Column("stream", Uuid(), primary_key=True),
    Column("flow_run_id", Uuid(), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("updated", Timestamp, nullable=False),
)

agent = Table(
    "agent",
    metadata,
    *_base(),
    Column("name", String, nullable=False),
    Column("host", String),
    Column("version", String),
    Column("work_pool", String),
    #: all its pools, where it has named more than one
    Column("work_pools", Json, nullable=False, server_default="[]"),
    Column("work_queues", Json, nullable=False),
    Column("work_queue_prefixes", Json, nullable=False),
    Column("capabilities", Json, nullable=False),
    #: types whose platform does not answer it, and what came of asking
    Column("away", Json, nullable=False, server_default="{}"),
    Column("reaches", Json, nullable=False),
    Column("limit", Integer),
    Column("ramp_up", Integer),
    Column("draining", Boolean, nullable=False),
    Column("last_polled", Timestamp, nullable=False),
    Column("lease_expires_at", Timestamp, nullable=False),
    Index(None, "lease_expires_at"),
)

attempt = Table(
    "attempt",
    metadata,
    *_base(),
    Column("flow_run_id", Uuid(), ForeignKey("flow_run.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("agent_id", Uuid()),
    Column("agent_name", String),
    #: the poll that brought it, so that the same poll asked again gets it again
    Column("request_id", Uuid()),
    #: whose slot it takes while it is not ENDED: limits are counted from open attempts, so no slot can leak
    Column("work_queue_id", Uuid()),
    Column("work_pool_id", Uuid()),
    Column("deployment_id", Uuid()),
    #: the engine process that presented the token
    Column("instance_id", Uuid()),
    #: the bundle of code that the engine was told to fetch, and may
    Column("bundle_digest", String),
    Column("infrastructure_type", String),
    Column("reach", String),
    Column("job_name", String),
    Column("handle", Json),
    Column("configuration", Json),
    Column("limits", Json, nullable=False),
    Column("phase", String),
    Column("reason", String),
    Column("message", Text),
    Column("hint", Text),
    Column("waiting_for", Text),
    Column("exit", Json),
    Column("output_tail", Text),
    Column("unobserved_since", Timestamp),
    #: when the platform first answered that there is no such job
    Column("missing_since", Timestamp),
    Column("claimed_at", Timestamp, nullable=False),
    Column("launched_at", Timestamp),
    Column("started_at", Timestamp),
    Column("running_at", Timestamp),
    #: when its engine said that it was told to end; why, its platform says, or the server after a while
    Column("told_to_end_at", Timestamp),
    Column("cancel_requested_at", Timestamp),
    #: why it is to be stopped: Cancelled, StartTimeout, RunTimeout or Superseded
    Column("stop_reason", String),
    Column("ended_at", Timestamp),
    Column("lease_expires_at", Timestamp, nullable=False),
    Column("last_observed_at", Timestamp),
    Column("last_reported_at", Timestamp),
    UniqueConstraint("flow_run_id", "number"),
    Index("ix_attempt__open", "agent_id", **_open("ended_at IS NULL")),
    Index("ix_attempt__open_queue", "work_queue_id", **_open("ended_at IS NULL")),
    Index("ix_attempt__open_pool", "work_pool_id", **_open("ended_at IS NULL")),
    Index("ix_attempt__open_deployment", "deployment_id", **_open("ended_at IS NULL")),
    Index(None, "request_id"),
)

artifact = Table(
    "artifact",
    metadata,
    *_base(),
    Column("key", String),
    Column("type", String),
    Column("description", Text),
    #: what it shows: a text, or rows as JSON
    Column("data", Json),
    Column("metadata", Json),
    Column("flow_run_id", Uuid(), ForeignKey("flow_run.id", ondelete="CASCADE")),
    Column("task_run_id", Uuid()),
    Index(None, "key", "created", "id"),
    Index(None, "key", "id"),
    Index(None, "flow_run_id"),
    Index(None, "task_run_id"),
    Index(None, "created", "id"),
    Index(None, "updated", "id"),
)

artifact_collection = Table(
    "artifact_collection",
    metadata,
    #: one row for each key, which names the newest artifact that has it
    *_base(),
    Column("key", String, nullable=False, unique=True),
    Column("latest_id", Uuid(), nullable=False),
)

saved_search = Table(
    "saved_search",
    metadata,
    *_base(),
    Column("name", String, nullable=False, unique=True),
    Column("filters", Json, nullable=False),
)

variable = Table(
    "variable",
    metadata,
    *_base(),
    Column("name", String, nullable=False, unique=True),
    Column("value", Text, nullable=False),
    Column("tags", Json, nullable=False),
)

flow_run_input = Table(
    "flow_run_input",
    metadata,
    *_base(),
    Column("flow_run_id", Uuid(), ForeignKey("flow_run.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("value", Text, nullable=False),
    Column("sender", String),
    UniqueConstraint("flow_run_id", "key"),
)

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    *_base(),
    #: how many task runs that have this tag may run at once
    Column("tag", String, nullable=False, unique=True),
    Column("concurrency_limit", Integer, nullable=False),
)

flow_run_tag_limit = Table(
    "flow_run_tag_limit",
    metadata,
    *_base(),
    #: how many flow runs that have this tag may be live at once
    Column("tag", String, nullable=False, unique=True),
    Column("concurrency_limit", Integer, nullable=False),
)

concurrency_limit_v2 = Table(
    "concurrency_limit_v2",
    metadata,
    *_base(),
    Column("name", String, nullable=False, unique=True),
    Column("active", Boolean, nullable=False),
    Column("limit", Integer, nullable=False),
    #: taken by clients that hold no lease; they shrink by `slot_decay_per_second` from `slots_at` on
    Column("slots", Float, nullable=False),
    Column("slots_at", Timestamp, nullable=False),
    Column("slot_decay_per_second", Float, nullable=False),
    Column("denied_slots", Integer, nullable=False),
    Column("avg_slot_occupancy_seconds", Float, nullable=False),
)

concurrency_slot = Table(
    "concurrency_slot",
    metadata,
    *_base(),
    #: the row of either of the two tables of limits
    Column("limit_id", Uuid(), nullable=False),
    #: who holds it: a task run, or a lease that its holder has named
    Column("holder_id", Uuid(), nullable=False),
    Column("slots", Integer, nullable=False),
    #: it is given back when this run is over
    Column("flow_run_id", Uuid()),
    #: or when this has passed, unless it is renewed
    Column("expires_at", Timestamp),
    UniqueConstraint("limit_id", "holder_id"),
    Index(None, "holder_id"),
    Index(None, "flow_run_id"),
    Index(None, "expires_at"),
)

flow_run_notification_policy = Table(
    "flow_run_notification_policy",
    metadata,
    *_base(),
    Column("is_active", Boolean, nullable=False),
    Column("state_names", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("block_document_id", Uuid(), ForeignKey("block_document.id", ondelete="CASCADE"), nullable=False),
    Column("message_template", Text),
    Index(None, "block_document_id"),
)

notification_delivery = Table(
    "notification_delivery",
    metadata,
    *_base(),
    #: no foreign keys: whoever writes a state never waits for, or fails by, somebody who deletes a policy
    Column("policy_id", Uuid(), nullable=False),
    #: whose state is told, and which; both are empty for a test message
    Column("flow_run_id", Uuid()),
    Column("state_id", Uuid()),
    Column("status", String, nullable=False),
    #: the delivery whose message tells of this one, too
    Column("gathered_into", Uuid()),
    Column("tries", Integer, nullable=False),
    Column("tried_at", Timestamp),
    #: when somebody has to look after it: the next try is due, or the lease of the one under way is over; empty: it is settled
    Column("due_at", Timestamp),
    #: the server whose notifier process has it
    Column("holder_id", Uuid()),
    Column("error", Text),
    UniqueConstraint("policy_id", "state_id"),
    Index(None, "due_at", **_open("due_at IS NOT NULL")),
    Index(None, "policy_id", "created", "id"),
    Index(None, "policy_id", "tried_at"),
    Index(None, "gathered_into", **_open("gathered_into IS NOT NULL")),
    Index(None, "updated"),
)

counter = Table(
    "counter",
    metadata,
    #: e.g. "flow_runs.state.FAILED"; kept in the transaction that changes what it counts
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

configuration = Table(
    "configuration",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Json, nullable=False),
)

bundle = Table(
    "bundle",
    metadata,
    *_base(),
    #: "sha256:…" of its content, uncompressed
    Column("digest", String, nullable=False, unique=True),
    Column("project", String),
    Column("files", Integer, nullable=False),
    #: bytes of the files, and of the archive as it is kept
    Column("size", BigInteger, nullable=False),
    Column("archive_size", BigInteger, nullable=False),
    #: when it was last offered, or seen to be used
    Column("last_used", Timestamp, nullable=False),
    Index(None, "created", "id"),
    Index(None, "last_used"),
)

bundle_part = Table(
    "bundle_part",
    metadata,
    #: no foreign key: the parts come first, and the row that makes them a bundle last
    Column("bundle_id", Uuid(), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(None, "created"),
)
