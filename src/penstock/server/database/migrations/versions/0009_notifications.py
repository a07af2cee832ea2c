"""Notification policies, and messages on their way."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flow_run_notification_policy",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("state_names", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("block_document_id", sa.Uuid(), nullable=False),
        sa.Column("message_template", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["block_document_id"],
            ["block_document.id"],
            name="fk_flow_run_notification_policy__block_document_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_flow_run_notification_policy"),
    )
    op.create_index(
        "ix_flow_run_notification_policy__block_document_id", "flow_run_notification_policy", ["block_document_id"]
    )
    op.create_table(
        "notification_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("state_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("gathered_into", sa.Uuid(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", Timestamp(), nullable=True),
        sa.Column("due_at", Timestamp(), nullable=True),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_notification_delivery"),
        sa.UniqueConstraint("policy_id", "state_id", name="uq_notification_delivery__policy_id_state_id"),
    )
    _partial("ix_notification_delivery__due_at", "due_at")
    _partial("ix_notification_delivery__gathered_into", "gathered_into")
    op.create_index(
        "ix_notification_delivery__policy_id_created_id", "notification_delivery", ["policy_id", "created", "id"]
    )
    op.create_index("ix_notification_delivery__policy_id_tried_at", "notification_delivery", ["policy_id", "tried_at"])
    op.create_index("ix_notification_delivery__updated", "notification_delivery", ["updated"])


def _partial(name: str, column: str) -> None:
    condition = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "notification_delivery", [column], sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    op.drop_table("notification_delivery")
    op.drop_table("flow_run_notification_policy")
