"""Loggers of runs."""

from penstock.engine.run_logs import get_run_logger

__all__ = ["get_run_logger"]
