"""Measures every figure of the budget beside something run next to it. See README.md."""
