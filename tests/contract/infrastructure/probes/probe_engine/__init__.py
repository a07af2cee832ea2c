"""Stands in for the engine: what it does is in the variable PROBE, as Python."""
