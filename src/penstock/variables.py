"""Variables, under the module name that users of Prefect 2 know."""

from penstock.sdk.variables import Variable, aget, get

__all__ = ["Variable", "aget", "get"]
