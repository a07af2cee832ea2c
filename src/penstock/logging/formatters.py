"""Formatters for logging files and for programs that configure logging themselves."""

from penstock.sdk.logging import JsonFormatter, PenstockFormatter

__all__ = ["JsonFormatter", "PenstockFormatter"]
