"""Who holds the slots of a limit of flow runs, shown with what is limited."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.cli import times
from penstock.cli.connection import Connection
from penstock.cli.output import Column

if TYPE_CHECKING:
    from penstock.client.call import Call
    from penstock.model.flow_run_limits import SlotUse


def add_live_runs(connection: Connection, row: dict[str, Any], call: "Call[SlotUse]") -> None:
    """Put how many slots are taken, and by which runs, beside the rest of `row`."""
    use = connection.row(call)
    row["taken"], row["live_runs"] = use["taken"], use["live_runs"]


def _one(run: Mapping[str, Any]) -> str:
    by = f" by {run['agent_name']}" if run.get("agent_name") else ""
    unseen = f", job unseen since {times.ago(run['unobserved_since'])}" if run.get("unobserved_since") else ""
    return f"{run['flow_run_name']} ({run['state_name']}, taken {times.ago(run['since'])}{by}{unseen})"


def _all(runs: object) -> str:
    return "; ".join(_one(run) for run in runs) if isinstance(runs, list) else ""


#: What `add_live_runs` has added.
LIVE_RUNS = [Column("TAKEN", "taken"), Column("LIVE RUNS", "live_runs", show=_all)]
