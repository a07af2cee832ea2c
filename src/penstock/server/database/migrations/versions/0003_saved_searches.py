"""Saved searches, and the orders in which artifacts are listed."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_search",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filters", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_saved_search"),
        sa.UniqueConstraint("name", name="uq_saved_search__name"),
    )
    op.create_index("ix_artifact__key_id", "artifact", ["key", "id"])
    op.create_index("ix_artifact__updated_id", "artifact", ["updated", "id"])


def downgrade() -> None:
    op.drop_index("ix_artifact__updated_id", "artifact")
    op.drop_index("ix_artifact__key_id", "artifact")
    op.drop_table("saved_search")
