"""Bundles of flow code, in parts; and which of them an attempt may fetch."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Timestamp

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bundle",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("updated", Timestamp(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("project", sa.String()),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("archive_size", sa.BigInteger(), nullable=False),
        sa.Column("last_used", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bundle"),
        sa.UniqueConstraint("digest", name="uq_bundle__digest"),
    )
    op.create_index("ix_bundle__created_id", "bundle", ["created", "id"])
    op.create_index("ix_bundle__last_used", "bundle", ["last_used"])
    op.create_table(
        "bundle_part",
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created", Timestamp(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bundle_id", "number", name="pk_bundle_part"),
    )
    op.create_index("ix_bundle_part__created", "bundle_part", ["created"])
    op.add_column("attempt", sa.Column("bundle_digest", sa.String()))


def downgrade() -> None:
    op.drop_column("attempt", "bundle_digest")
    op.drop_table("bundle_part")
    op.drop_table("bundle")
