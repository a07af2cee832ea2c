"""Artifacts, variables, inputs of flow runs, and limits of concurrency."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def base(table: str) -> list[Any]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    ]


def of_flow_run(table: str) -> Any:
    return sa.ForeignKeyConstraint(
        ["flow_run_id"], ["flow_run.id"], name=f"fk_{table}__flow_run_id", ondelete="CASCADE"
    )


def upgrade() -> None:
    op.create_table(
        "artifact",
        *base("artifact"),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("data", Json, nullable=True),
        sa.Column("metadata", Json, nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("task_run_id", sa.Uuid(), nullable=True),
        of_flow_run("artifact"),
    )
    op.create_index("ix_artifact__key_created_id", "artifact", ["key", "created", "id"])
    op.create_index("ix_artifact__flow_run_id", "artifact", ["flow_run_id"])
    op.create_index("ix_artifact__task_run_id", "artifact", ["task_run_id"])
    op.create_index("ix_artifact__created_id", "artifact", ["created", "id"])
    op.create_table(
        "artifact_collection",
        *base("artifact_collection"),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("latest_id", sa.Uuid(), nullable=False),
        sa.UniqueConstraint("key", name="uq_artifact_collection__key"),
    )
    op.create_table(
        "variable",
        *base("variable"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.UniqueConstraint("name", name="uq_variable__name"),
    )
    op.create_table(
        "flow_run_input",
        *base("flow_run_input"),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(), nullable=True),
        of_flow_run("flow_run_input"),
        sa.UniqueConstraint("flow_run_id", "key", name="uq_flow_run_input__flow_run_id_key"),
    )
    op.create_table(
        "concurrency_limit",
        *base("concurrency_limit"),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=False),
        sa.UniqueConstraint("tag", name="uq_concurrency_limit__tag"),
    )
    op.create_table(
        "concurrency_limit_v2",
        *base("concurrency_limit_v2"),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Float(), nullable=False),
        sa.Column("slots_at", Timestamp(), nullable=False),
        sa.Column("slot_decay_per_second", sa.Float(), nullable=False),
        sa.Column("denied_slots", sa.Integer(), nullable=False),
        sa.Column("avg_slot_occupancy_seconds", sa.Float(), nullable=False),
        sa.UniqueConstraint("name", name="uq_concurrency_limit_v2__name"),
    )
    op.create_table(
        "concurrency_slot",
        *base("concurrency_slot"),
        sa.Column("limit_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", Timestamp(), nullable=True),
        sa.UniqueConstraint("limit_id", "holder_id", name="uq_concurrency_slot__limit_id_holder_id"),
    )
    for column in ("holder_id", "flow_run_id", "expires_at"):
        op.create_index(f"ix_concurrency_slot__{column}", "concurrency_slot", [column])


def downgrade() -> None:
    for table in (
        "concurrency_slot",
        "concurrency_limit_v2",
        "concurrency_limit",
        "flow_run_input",
        "variable",
        "artifact_collection",
        "artifact",
    ):
        op.drop_table(table)
