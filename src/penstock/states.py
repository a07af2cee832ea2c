"""States, under the module name that users of Prefect 2 know."""

from penstock.sdk.states import *  # noqa: F403 - all that is public there, and nothing else
from penstock.sdk.states import __all__ as __all__
