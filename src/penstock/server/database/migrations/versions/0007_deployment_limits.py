"""Limits of deployments and of flow runs with a tag; agents of several pools; due runs found without their rows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DUE: dict[str, Any] = {
    "sqlite_where": sa.text("state_type = 'SCHEDULED'"),
    "postgresql_where": sa.text("state_type = 'SCHEDULED'"),
}
_OPEN: dict[str, Any] = {"sqlite_where": sa.text("ended_at IS NULL"), "postgresql_where": sa.text("ended_at IS NULL")}


def upgrade() -> None:
    op.add_column("deployment", sa.Column("concurrency_limit", sa.Integer))
    op.add_column("agent", sa.Column("work_pools", Json, nullable=False, server_default="[]"))
    op.add_column("agent", sa.Column("ramp_up", sa.Integer))
    op.create_table(
        "flow_run_tag_limit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp, nullable=False),
        sa.Column("updated", Timestamp, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("concurrency_limit", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flow_run_tag_limit"),
        sa.UniqueConstraint("tag", name="uq_flow_run_tag_limit__tag"),
    )
    op.create_index("ix_attempt__open_deployment", "attempt", ["deployment_id"], **_OPEN)
    op.drop_index("ix_flow_run__due", "flow_run")
    columns = ["work_queue_id", "next_scheduled_start_time", "id", "deployment_id"]
    op.create_index("ix_flow_run__due", "flow_run", columns, **_DUE)


def downgrade() -> None:
    op.drop_index("ix_flow_run__due", "flow_run")
    op.create_index("ix_flow_run__due", "flow_run", ["work_queue_id", "next_scheduled_start_time", "id"], **_DUE)
    op.drop_index("ix_attempt__open_deployment", "attempt")
    op.drop_table("flow_run_tag_limit")
    op.drop_column("agent", "ramp_up")
    op.drop_column("agent", "work_pools")
    op.drop_column("deployment", "concurrency_limit")
