"""The name by which users of Prefect 2 know the harness: ``from penstock.testing.utilities import penstock_test_harness``."""

from penstock.testing.harness import penstock_test_harness

__all__ = ["penstock_test_harness"]
