"""What agents say of platforms that do not answer them."""

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent", sa.Column("away", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("agent", "away")
