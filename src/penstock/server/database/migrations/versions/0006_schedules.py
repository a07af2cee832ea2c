"""Schedules with names, parameters and a catch-up policy, and where planning has come to; runs know their schedule."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from penstock.server.database.tables import Json, Timestamp

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OF_SCHEDULE: dict[str, Any] = {
    "sqlite_where": sa.text("schedule_id IS NOT NULL"),
    "postgresql_where": sa.text("schedule_id IS NOT NULL"),
}
_COLUMNS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("name", sa.String(), {}),
    ("parameters", Json, {"nullable": False, "server_default": "{}"}),
    ("catchup_policy", sa.String(), {"nullable": False, "server_default": "all"}),
    ("planned_until", Timestamp(), {}),
    ("plan_at", Timestamp(), {}),
)
_INDEXES: tuple[tuple[str, str, list[str], dict[str, Any]], ...] = (
    ("ix_deployment_schedule__plan_at", "deployment_schedule", ["plan_at"], {}),
    (
        "ix_flow_run__schedule_id_expected_start_time",
        "flow_run",
        ["schedule_id", "expected_start_time"],
        _OF_SCHEDULE,
    ),
)
#: Runs that are planned and nobody's yet: they are planned again, and then know their schedule.
_PLANNED = "auto_scheduled AND state_type = 'SCHEDULED' AND attempt_count = 0 AND start_time IS NULL"


def upgrade() -> None:
    for name, kind, options in _COLUMNS:
        op.add_column("deployment_schedule", sa.Column(name, kind, **options))
    op.add_column("flow_run", sa.Column("schedule_id", sa.Uuid()))
    for name, table, columns, options in _INDEXES:
        op.create_index(name, table, columns, **options)
    op.execute(
        f"UPDATE counter SET value = value - (SELECT count(*) FROM flow_run WHERE {_PLANNED}) "
        "WHERE name = 'flow_runs.state.SCHEDULED'"
    )
    op.execute(f"DELETE FROM flow_run WHERE {_PLANNED}")


def downgrade() -> None:
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    op.drop_column("flow_run", "schedule_id")
    for name, _, _ in reversed(_COLUMNS):
        op.drop_column("deployment_schedule", name)
