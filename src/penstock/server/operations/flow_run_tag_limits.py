"""How many flow runs with a tag may be live at once."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.errors import NotFound, did_you_mean
from penstock.model.base import new_id
from penstock.model.filters import MAX_LIMIT
from penstock.model.flow_run_limits import FlowRunTagLimit, FlowRunTagLimitCreate, FlowRunTagLimitList
from penstock.server.database.connection import Transaction
from penstock.server.database.live_runs import tag_limits, tags_taken
from penstock.server.database.tables import flow_run_tag_limit
from penstock.server.operations.slot_topics import topic_of

_C = flow_run_tag_limit.c


def create_flow_run_tag_limit(tx: Transaction, asked: FlowRunTagLimitCreate) -> FlowRunTagLimit:
    """Limit the tag, or change its limit. Runs that are live go on."""
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    changed = {"concurrency_limit": asked.concurrency_limit, "updated": tx.now}
    statement = insert(flow_run_tag_limit).values(id=new_id(), created=tx.now, tag=asked.tag, **changed)
    tx.execute(statement.on_conflict_do_update(index_elements=[_C.tag], set_=changed))
    tx.notify(topic_of(("tag", asked.tag)))
    return read_flow_run_tag_limit(tx, asked.tag)


def read_flow_run_tag_limit(tx: Transaction, tag: str) -> FlowRunTagLimit:
    """Raises NotFound with the nearest tag that is limited."""
    row = tx.execute(sa.select(flow_run_tag_limit).where(_C.tag == tag)).one_or_none()
    if row is None:
        known = did_you_mean(tag, tag_limits(tx))
        raise NotFound(f"How many flow runs with the tag {tag!r} are live is not limited.{known}")
    return FlowRunTagLimit.model_validate({**row._mapping, "taken": tags_taken(tx, [tag]).get(tag, 0)})


def read_flow_run_tag_limits(tx: Transaction, asked: FlowRunTagLimitList) -> list[FlowRunTagLimit]:
    """The newest first."""
    limit = MAX_LIMIT if asked.limit is None else asked.limit
    newest = sa.select(flow_run_tag_limit).order_by(_C.created.desc(), _C.id).limit(limit).offset(asked.offset)
    rows = tx.execute(newest).all()
    taken = tags_taken(tx, [row.tag for row in rows])
    return [FlowRunTagLimit.model_validate({**row._mapping, "taken": taken.get(row.tag, 0)}) for row in rows]


def delete_flow_run_tag_limit(tx: Transaction, tag: str) -> None:
    """Remove the limit: runs that wait for it start. Raises NotFound."""
    read_flow_run_tag_limit(tx, tag)
    tx.execute(sa.delete(flow_run_tag_limit).where(_C.tag == tag))
    tx.notify(topic_of(("tag", tag)))
