"""What an engine reports without asking."""

from typing import TYPE_CHECKING

from penstock.client.call import Call

if TYPE_CHECKING:
    from penstock.model.reports import ReportBatch, ReportReceipt


def send_reports(batch: "ReportBatch") -> "Call[ReportReceipt]":
    """Send a numbered batch; again, it changes nothing. Raises Conflict when sent if a number before it is missing."""
    return Call("POST", "/reports", _receipt, body=batch)


def _receipt() -> "type[ReportReceipt]":
    from penstock.model.reports import ReportReceipt

    return ReportReceipt
