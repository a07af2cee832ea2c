"""Looking for work costs the same whether there are ten runs or ten million."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from penstock.server.database import tables as t
from penstock.server.database.attempts import next_due, next_due_after, open_attempts_of
from penstock.server.database.due_runs import Passed, due_runs, lock_due_runs
from penstock.server.database.live_runs import slots_taken
from penstock.server.operations.mark_late_runs import has_late_runs
from penstock.server.operations.plan_runs import find_due_schedules
from penstock.server.operations.skip_missed_runs import find_missed_runs

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

QUESTIONS = {
    "next due": lambda tx: next_due(tx, [uuid4()]),
    "next due after": lambda tx: next_due_after(tx, [uuid4()], tx.now),
    "due runs": lambda tx: due_runs(tx, uuid4(), tx.now, 5),
    "due runs of some": lambda tx: due_runs(tx, uuid4(), tx.now, 5, Passed([uuid4()], [uuid4()], ["a"], ["process"])),
    "locks on due runs": lambda tx: lock_due_runs(tx, [uuid4()], tx.now),
    "slots of queues": lambda tx: slots_taken(tx, t.attempt.c.work_queue_id, [uuid4()]),
    "slots of pools": lambda tx: slots_taken(tx, t.attempt.c.work_pool_id, [uuid4()]),
    "slots of deployments": lambda tx: slots_taken(tx, t.attempt.c.deployment_id, [uuid4()]),
    "attempts of an agent": lambda tx: open_attempts_of(tx, uuid4()),
    "late runs": lambda tx: has_late_runs(tx, 15),
    "missed runs": lambda tx: find_missed_runs(tx),
    "missed runs of schedules": lambda tx: find_missed_runs(tx, [uuid4()]),
    "schedules to plan": lambda tx: find_due_schedules(tx, 5),
}


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_no_question_of_a_poll_or_service_walks_through_all_runs(world: Any, question: str) -> None:
    asked: list[tuple[str, Any]] = []

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    def plans(tx: Any) -> list[str]:
        sa.event.listen(tx.connection, "before_cursor_execute", remember)
        QUESTIONS[question](tx)
        sa.event.remove(tx.connection, "before_cursor_execute", remember)
        cursor = tx.connection.connection.cursor()
        return [row[3] for text, values in asked for row in cursor.execute(f"EXPLAIN QUERY PLAN {text}", values)]

    steps = world.write(plans)
    assert steps
    assert not [
        step
        for step in steps
        if (step.startswith("SCAN") and "VIRTUAL TABLE" not in step)  # which is the list of one run's tags
        or ("TEMP B-TREE" in step and "attempt" not in question)
    ]
