"""What `penstock deployment inspect` shows of a deployment besides its own fields."""

from typing import Any

from penstock.cli import times
from penstock.cli.connection import Connection
from penstock.cli.output import Column
from penstock.cli.schedules import schedule_text
from penstock.errors import NotFound

#: How many of the planned runs are shown.
_NEXT = 3
Row = dict[str, Any]


def add_details(connection: Connection, row: Row) -> None:
    """Put infrastructure, storage, where the code lies and the next runs beside the deployment's fields; secrets masked."""
    row["infrastructure"] = _block(connection, row.get("infrastructure_document_id")) or {"type": "process"}
    row["storage"] = _block(connection, row.get("storage_document_id"))
    row["code"] = code_text(row)
    row["next_runs"] = _next_runs(connection, row)


def _block(connection: Connection, document: Any) -> Row | None:
    from penstock.client import block_documents

    if document is None:
        return None
    try:
        found = connection.row(block_documents.read_block_document(document, include_secrets=False))
    except NotFound:
        return None
    name = None if found.get("is_anonymous") else found.get("name")
    data = {key: value for key, value in (found.get("data") or {}).items() if key != "type"}
    return {"type": (found.get("block_type") or {}).get("slug"), "block": name, **data}


def code_text(row: Row) -> str:
    """Where the flow's code lies, in a few words."""
    storage, path = row["storage"], row.get("path")
    if storage is None:
        where = "in the image" if "image" in row["infrastructure"] else "on the machine of the agent"
        return f"{path or '.'} {where}"
    if storage["type"] == "bundle":
        digest = str(storage.get("digest")).removeprefix("sha256:")[:12]
        return f"bundle {digest}, {storage.get('files')} files"
    return "/".join(str(part) for part in (storage["type"], storage["block"]) if part) + (f", {path}" if path else "")


def _next_runs(connection: Connection, row: Row) -> list[Row]:
    from penstock.client import flow_runs

    found = connection.rows(
        flow_runs.read_flow_runs(
            flow_run_filter={"state": {"type": {"any_": ["SCHEDULED"]}}},
            deployment_filter={"id": {"any_": [row["id"]]}},
            sort="NEXT_SCHEDULED_START_TIME_ASC",
            limit=_NEXT,
        )
    )
    return [{key: run[key] for key in ("id", "name", "expected_start_time")} for run in found]


def schedules_text(schedules: Any) -> str:
    """All schedules of a deployment in a few words."""
    return "; ".join(
        f"{schedule_text(item['schedule'])}{'' if item.get('active', True) else ' (paused)'}"
        for item in schedules or []
    )


def _block_text(block: Any) -> str:
    if not isinstance(block, dict):
        return ""
    return f"{block['type']}/{block['block']}" if block.get("block") else str(block["type"])


#: What is shown of a deployment, each where there is something to show.
COLUMNS = [
    Column("name", "full_name"),
    Column("id", "id"),
    Column("description", "description"),
    Column("version", "version"),
    Column("status", "status"),
    Column("queue", "work_queue_name"),
    Column("pool", "work_pool_name"),
    Column("schedules", "schedules", show=schedules_text),
    Column("schedule active", "is_schedule_active"),
    Column(
        "next runs", "next_runs", show=lambda runs: ", ".join(times.ago(run["expected_start_time"]) for run in runs)
    ),
    Column("parameters", "parameters"),
    Column("tags", "tags"),
    Column("code", "code"),
    Column("entrypoint", "entrypoint"),
    Column("storage", "storage", show=_block_text),
    Column("infrastructure", "infrastructure", show=_block_text),
    Column("overrides", "infra_overrides"),
    Column("limit", "concurrency_limit"),
    Column("updated", "updated"),
]
