"""Indexes for lists of blocks, and for who uses them."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_block_document__name_id", "block_document", ["name", "id"]),
    ("ix_block_document__block_schema_id", "block_document", ["block_schema_id"]),
    ("ix_deployment__infrastructure_document_id", "deployment", ["infrastructure_document_id"]),
    ("ix_deployment__storage_document_id", "deployment", ["storage_document_id"]),
)


def upgrade() -> None:
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in reversed(_INDEXES):
        op.drop_index(name, table)
