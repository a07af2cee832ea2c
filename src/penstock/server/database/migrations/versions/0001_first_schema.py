"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def where(condition: str) -> dict[str, Any]:
    """A partial index on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("work_pool", sa.String(), nullable=True),
        sa.Column("work_queues", Json, nullable=False),
        sa.Column("work_queue_prefixes", Json, nullable=False),
        sa.Column("capabilities", Json, nullable=False),
        sa.Column("reaches", Json, nullable=False),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("last_polled", Timestamp(), nullable=False),
        sa.Column("lease_expires_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent"),
    )
    op.create_index("ix_agent__lease_expires_at", "agent", ["lease_expires_at"], unique=False)
    op.create_table(
        "block_type",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("logo_url", sa.String(), nullable=True),
        sa.Column("documentation_url", sa.String(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("code_example", sa.Text(), nullable=True),
        sa.Column("is_protected", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_block_type"),
        sa.UniqueConstraint("slug", name="uq_block_type__slug"),
    )
    op.create_table(
        "configuration",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", Json, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_configuration"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "flow",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flow"),
        sa.UniqueConstraint("name", name="uq_flow__name"),
    )
    op.create_index("ix_flow__created_id", "flow", ["created", "id"], unique=False)
    op.create_table(
        "log",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("task_run_id", sa.Uuid(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("timestamp", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_log"),
    )
    op.create_index(
        "ix_log__flow_run_id_timestamp_position", "log", ["flow_run_id", "timestamp", "position"], unique=False
    )
    op.create_index(
        "ix_log__task_run_id_timestamp",
        "log",
        ["task_run_id", "timestamp"],
        unique=False,
        **where("task_run_id IS NOT NULL"),
    )
    op.create_table(
        "report_stream",
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name="pk_report_stream"),
    )
    op.create_table(
        "task_run_state_cache",
        sa.Column("cache_key", sa.String(), nullable=False),
        sa.Column("task_run_state_id", sa.Uuid(), nullable=False),
        sa.Column("cache_expiration", Timestamp(), nullable=True),
        sa.Column("created", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("cache_key", name="pk_task_run_state_cache"),
    )
    op.create_table(
        "work_pool",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("base_job_template", Json, nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("default_queue_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_work_pool"),
        sa.UniqueConstraint("name", name="uq_work_pool__name"),
    )
    op.create_table(
        "block_schema",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("block_type_id", sa.Uuid(), nullable=False),
        sa.Column("checksum", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("capabilities", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["block_type_id"], ["block_type.id"], name="fk_block_schema__block_type_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_block_schema"),
        sa.UniqueConstraint("checksum", "version", name="uq_block_schema__checksum_version"),
    )
    op.create_index("ix_block_schema__block_type_id", "block_schema", ["block_type_id"], unique=False)
    op.create_table(
        "work_queue",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("work_pool_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("filter", Json, nullable=True),
        sa.Column("last_polled", Timestamp(), nullable=True),
        sa.ForeignKeyConstraint(
            ["work_pool_id"], ["work_pool.id"], name="fk_work_queue__work_pool_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_work_queue"),
        sa.UniqueConstraint("work_pool_id", "name", name="uq_work_queue__work_pool_id_name"),
    )
    op.create_table(
        "block_document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("block_type_id", sa.Uuid(), nullable=False),
        sa.Column("block_schema_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("sealed", Json, nullable=True),
        sa.ForeignKeyConstraint(
            ["block_schema_id"], ["block_schema.id"], name="fk_block_document__block_schema_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["block_type_id"], ["block_type.id"], name="fk_block_document__block_type_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_block_document"),
        sa.UniqueConstraint("block_type_id", "name", name="uq_block_document__block_type_id_name"),
    )
    op.create_table(
        "block_document_reference",
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["child_id"], ["block_document.id"], name="fk_block_document_reference__child_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["block_document.id"], name="fk_block_document_reference__parent_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("parent_id", "name", name="pk_block_document_reference"),
    )
    op.create_index("ix_block_document_reference__child_id", "block_document_reference", ["child_id"], unique=False)
    op.create_table(
        "deployment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_schedule_active", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("infra_overrides", Json, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("pull_steps", Json, nullable=True),
        sa.Column("parameter_openapi_schema", Json, nullable=True),
        sa.Column("enforce_parameter_schema", sa.Boolean(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("entrypoint", sa.Text(), nullable=True),
        sa.Column("manifest_path", sa.Text(), nullable=True),
        sa.Column("work_queue_name", sa.String(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("storage_document_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_document_id", sa.Uuid(), nullable=True),
        sa.Column("last_polled", Timestamp(), nullable=True),
        sa.Column("created_by", Json, nullable=True),
        sa.Column("updated_by", Json, nullable=True),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name="fk_deployment__flow_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["infrastructure_document_id"],
            ["block_document.id"],
            name="fk_deployment__infrastructure_document_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["storage_document_id"],
            ["block_document.id"],
            name="fk_deployment__storage_document_id",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["work_queue_id"], ["work_queue.id"], name="fk_deployment__work_queue_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployment"),
        sa.UniqueConstraint("flow_id", "name", name="uq_deployment__flow_id_name"),
    )
    op.create_index("ix_deployment__created_id", "deployment", ["created", "id"], unique=False)
    op.create_index("ix_deployment__work_queue_id", "deployment", ["work_queue_id"], unique=False)
    op.create_table(
        "deployment_schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("schedule", Json, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("max_active_runs", sa.Integer(), nullable=True),
        sa.Column("max_scheduled_runs", sa.Integer(), nullable=True),
        sa.Column("catchup", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name="fk_deployment_schedule__deployment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployment_schedule"),
    )
    op.create_index("ix_deployment_schedule__deployment_id", "deployment_schedule", ["deployment_id"], unique=False)
    op.create_table(
        "flow_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_version", sa.String(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_name", sa.String(), nullable=True),
        sa.Column("flow_version", sa.String(), nullable=True),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("context", Json, nullable=False),
        sa.Column("empirical_policy", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("job_variables", Json, nullable=False),
        sa.Column("parent_task_run_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_document_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_pid", sa.Text(), nullable=True),
        sa.Column("auto_scheduled", sa.Boolean(), nullable=False),
        sa.Column("created_by", Json, nullable=True),
        sa.Column("state_id", sa.Uuid(), nullable=True),
        sa.Column("state_type", sa.String(), nullable=True),
        sa.Column("state_name", sa.String(), nullable=True),
        sa.Column("state_timestamp", Timestamp(), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("expected_start_time", Timestamp(), nullable=True),
        sa.Column("next_scheduled_start_time", Timestamp(), nullable=True),
        sa.Column("start_time", Timestamp(), nullable=True),
        sa.Column("end_time", Timestamp(), nullable=True),
        sa.Column("total_run_time", sa.Float(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("infra_failures", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name="fk_flow_run__deployment_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name="fk_flow_run__flow_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["work_queue_id"], ["work_queue.id"], name="fk_flow_run__work_queue_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow_run"),
        sa.UniqueConstraint("flow_id", "idempotency_key", name="uq_flow_run__flow_id_idempotency_key"),
    )
    op.create_index(
        "ix_flow_run__deployment_id_expected_start_time_id",
        "flow_run",
        ["deployment_id", "expected_start_time", "id"],
        unique=False,
    )
    op.create_index(
        "ix_flow_run__due",
        "flow_run",
        ["work_queue_id", "next_scheduled_start_time", "id"],
        unique=False,
        **where("state_type = 'SCHEDULED'"),
    )
    op.create_index("ix_flow_run__end_time_id", "flow_run", ["end_time", "id"], unique=False)
    op.create_index("ix_flow_run__expected_start_time_id", "flow_run", ["expected_start_time", "id"], unique=False)
    op.create_index(
        "ix_flow_run__flow_id_expected_start_time_id",
        "flow_run",
        ["flow_id", "expected_start_time", "id"],
        unique=False,
    )
    op.create_index("ix_flow_run__name_id", "flow_run", ["name", "id"], unique=False)
    op.create_index(
        "ix_flow_run__next_scheduled_start_time_id", "flow_run", ["next_scheduled_start_time", "id"], unique=False
    )
    op.create_index(
        "ix_flow_run__open", "flow_run", ["state_type", "state_timestamp"], unique=False, **where("end_time IS NULL")
    )
    op.create_index("ix_flow_run__parent_task_run_id", "flow_run", ["parent_task_run_id"], unique=False)
    op.create_index("ix_flow_run__start_time_id", "flow_run", ["start_time", "id"], unique=False)
    op.create_index(
        "ix_flow_run__state_type_expected_start_time_id",
        "flow_run",
        ["state_type", "expected_start_time", "id"],
        unique=False,
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("agent_name", sa.String(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("work_queue_id", sa.Uuid(), nullable=True),
        sa.Column("work_pool_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("infrastructure_type", sa.String(), nullable=True),
        sa.Column("reach", sa.String(), nullable=True),
        sa.Column("job_name", sa.String(), nullable=True),
        sa.Column("handle", Json, nullable=True),
        sa.Column("configuration", Json, nullable=True),
        sa.Column("limits", Json, nullable=False),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("exit", Json, nullable=True),
        sa.Column("output_tail", sa.Text(), nullable=True),
        sa.Column("unobserved_since", Timestamp(), nullable=True),
        sa.Column("missing_since", Timestamp(), nullable=True),
        sa.Column("claimed_at", Timestamp(), nullable=False),
        sa.Column("launched_at", Timestamp(), nullable=True),
        sa.Column("started_at", Timestamp(), nullable=True),
        sa.Column("running_at", Timestamp(), nullable=True),
        sa.Column("cancel_requested_at", Timestamp(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("ended_at", Timestamp(), nullable=True),
        sa.Column("lease_expires_at", Timestamp(), nullable=False),
        sa.Column("last_observed_at", Timestamp(), nullable=True),
        sa.Column("last_reported_at", Timestamp(), nullable=True),
        sa.ForeignKeyConstraint(["flow_run_id"], ["flow_run.id"], name="fk_attempt__flow_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.UniqueConstraint("flow_run_id", "number", name="uq_attempt__flow_run_id_number"),
    )
    op.create_index("ix_attempt__open", "attempt", ["agent_id"], unique=False, **where("ended_at IS NULL"))
    op.create_index("ix_attempt__open_pool", "attempt", ["work_pool_id"], unique=False, **where("ended_at IS NULL"))
    op.create_index("ix_attempt__open_queue", "attempt", ["work_queue_id"], unique=False, **where("ended_at IS NULL"))
    op.create_index("ix_attempt__request_id", "attempt", ["request_id"], unique=False)
    op.create_table(
        "flow_run_state",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timestamp", Timestamp(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("data", Json, nullable=True),
        sa.Column("state_details", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name="fk_flow_run_state__flow_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow_run_state"),
    )
    op.create_index(
        "ix_flow_run_state__flow_run_id_timestamp", "flow_run_state", ["flow_run_id", "timestamp"], unique=False
    )
    op.create_table(
        "task_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("task_key", sa.String(), nullable=False),
        sa.Column("dynamic_key", sa.String(), nullable=False),
        sa.Column("cache_key", sa.String(), nullable=True),
        sa.Column("cache_expiration", Timestamp(), nullable=True),
        sa.Column("task_version", sa.String(), nullable=True),
        sa.Column("empirical_policy", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("task_inputs", Json, nullable=False),
        sa.Column("state_id", sa.Uuid(), nullable=True),
        sa.Column("state_type", sa.String(), nullable=True),
        sa.Column("state_name", sa.String(), nullable=True),
        sa.Column("state_timestamp", Timestamp(), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("flow_run_run_count", sa.Integer(), nullable=False),
        sa.Column("expected_start_time", Timestamp(), nullable=True),
        sa.Column("next_scheduled_start_time", Timestamp(), nullable=True),
        sa.Column("start_time", Timestamp(), nullable=True),
        sa.Column("end_time", Timestamp(), nullable=True),
        sa.Column("total_run_time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["flow_run_id"], ["flow_run.id"], name="fk_task_run__flow_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_run"),
        sa.UniqueConstraint(
            "flow_run_id", "task_key", "dynamic_key", name="uq_task_run__flow_run_id_task_key_dynamic_key"
        ),
    )
    op.create_index("ix_task_run__end_time_id", "task_run", ["end_time", "id"], unique=False)
    op.create_index("ix_task_run__expected_start_time_id", "task_run", ["expected_start_time", "id"], unique=False)
    op.create_table(
        "task_run_state",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_run_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timestamp", Timestamp(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("data", Json, nullable=True),
        sa.Column("state_details", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["task_run_id"], ["task_run.id"], name="fk_task_run_state__task_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_task_run_state"),
    )
    op.create_index(
        "ix_task_run_state__task_run_id_timestamp", "task_run_state", ["task_run_id", "timestamp"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_task_run_state__task_run_id_timestamp", table_name="task_run_state")
    op.drop_table("task_run_state")
    op.drop_index("ix_task_run__expected_start_time_id", table_name="task_run")
    op.drop_index("ix_task_run__end_time_id", table_name="task_run")
    op.drop_table("task_run")
    op.drop_index("ix_flow_run_state__flow_run_id_timestamp", table_name="flow_run_state")
    op.drop_table("flow_run_state")
    op.drop_index("ix_attempt__request_id", table_name="attempt")
    op.drop_index("ix_attempt__open_queue", table_name="attempt", **where("ended_at IS NULL"))
    op.drop_index("ix_attempt__open_pool", table_name="attempt", **where("ended_at IS NULL"))
    op.drop_index("ix_attempt__open", table_name="attempt", **where("ended_at IS NULL"))
    op.drop_table("attempt")
    op.drop_index("ix_flow_run__state_type_expected_start_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__start_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__parent_task_run_id", table_name="flow_run")
    op.drop_index("ix_flow_run__open", table_name="flow_run", **where("end_time IS NULL"))
    op.drop_index("ix_flow_run__next_scheduled_start_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__name_id", table_name="flow_run")
    op.drop_index("ix_flow_run__flow_id_expected_start_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__expected_start_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__end_time_id", table_name="flow_run")
    op.drop_index("ix_flow_run__due", table_name="flow_run", **where("state_type = 'SCHEDULED'"))
    op.drop_index("ix_flow_run__deployment_id_expected_start_time_id", table_name="flow_run")
    op.drop_table("flow_run")
    op.drop_index("ix_deployment_schedule__deployment_id", table_name="deployment_schedule")
    op.drop_table("deployment_schedule")
    op.drop_index("ix_deployment__work_queue_id", table_name="deployment")
    op.drop_index("ix_deployment__created_id", table_name="deployment")
    op.drop_table("deployment")
    op.drop_index("ix_block_document_reference__child_id", table_name="block_document_reference")
    op.drop_table("block_document_reference")
    op.drop_table("block_document")
    op.drop_table("work_queue")
    op.drop_index("ix_block_schema__block_type_id", table_name="block_schema")
    op.drop_table("block_schema")
    op.drop_table("work_pool")
    op.drop_table("task_run_state_cache")
    op.drop_table("report_stream")
    op.drop_index("ix_log__task_run_id_timestamp", table_name="log", **where("task_run_id IS NOT NULL"))
    op.drop_index("ix_log__flow_run_id_timestamp_position", table_name="log")
    op.drop_table("log")
    op.drop_index("ix_flow__created_id", table_name="flow")
    op.drop_table("flow")
    op.drop_table("counter")
    op.drop_table("configuration")
    op.drop_table("block_type")
    op.drop_index("ix_agent__lease_expires_at", table_name="agent")
    op.drop_table("agent")
