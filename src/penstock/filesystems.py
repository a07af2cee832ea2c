"""Storage blocks, under the module name that users of Prefect 2 know."""

from penstock.storage.local import LocalFileSystem

__all__ = ["LocalFileSystem"]
