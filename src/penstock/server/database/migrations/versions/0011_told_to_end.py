"""When an engine said that it was told to end."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Timestamp

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("told_to_end_at", Timestamp(), nullable=True))


def downgrade() -> None:
    op.drop_column("attempt", "told_to_end_at")
