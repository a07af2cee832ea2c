"""Marks around arguments of tasks."""

from penstock.engine.annotations import allow_failure, quote, unmapped

__all__ = ["allow_failure", "quote", "unmapped"]
