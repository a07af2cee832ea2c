"""Saved, typed configuration with secrets."""
