"""Handlers for logging files and for programs that configure logging themselves."""

from penstock.sdk.logging import APILogHandler, PenstockConsoleHandler

__all__ = ["APILogHandler", "PenstockConsoleHandler"]
