from penstock.errors import Conflict
from penstock.model.base import new_id
from penstock.model.concurrency_limits import GlobalConcurrencyLimit, GlobalConcurrencyLimitCreate
from penstock.server.database.connection import Transaction
from penstock.server.database.inserts import insert_if_absent
from penstock.server.database.slots import TOPIC
from penstock.server.database.tables import concurrency_limit_v2
from penstock.server.operations.read_global_concurrency_limits import read_global_concurrency_limit

#: Seconds for which slots are taken to be held as long as nobody has said how long they were.
ASSUMED_OCCUPANCY = 2.0


def create_global_concurrency_limit(tx: Transaction, asked: GlobalConcurrencyLimitCreate) -> GlobalConcurrencyLimit:
    """Raises Conflict if there is a limit of that name."""
    values = {
        "id": new_id(),
        "created": tx.now,
        "updated": tx.now,
        **asked.model_dump(exclude={"active_slots"}),
        "slots": float(asked.active_slots),
        "slots_at": tx.now,
        "avg_slot_occupancy_seconds": ASSUMED_OCCUPANCY,
    }
    if not insert_if_absent(tx, concurrency_limit_v2, values):
        raise Conflict(
            f"There is a concurrency limit {asked.name!r} already",
            code="concurrency_limit_exists",
            hint="Change it instead: penstock global-concurrency-limit update NAME",
        )
    tx.notify(TOPIC)
    return read_global_concurrency_limit(tx, asked.name)
