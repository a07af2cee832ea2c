"""What was last applied to a deployment."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applied_deployment",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("updated", Timestamp, nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.PrimaryKeyConstraint("deployment_id", name="pk_applied_deployment"),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployment.id"],
            ondelete="CASCADE",
            name="fk_applied_deployment__deployment_id",
        ),
    )


def downgrade() -> None:
    op.drop_table("applied_deployment")
