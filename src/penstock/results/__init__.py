"""Results: written to storage by the run that made them, readable from anywhere."""

from penstock.model.results import Result
from penstock.results.store import ResultStore

__all__ = ["Result", "ResultStore"]
