"""Runs over time, as a chart shows them."""

from datetime import datetime

from penstock.model.base import Data
from penstock.model.states import StateType


class HistoryState(Data):
    """Runs of one interval in one state. Sums are seconds."""

    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: float
    sum_estimated_lateness: float


class HistoryInterval(Data):
    interval_start: datetime
    interval_end: datetime
    states: list[HistoryState]
