"""Storage blocks, under the module name that users of Prefect 2 know."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.storage.azure import Azure as Azure
    from penstock.storage.gcs import GCS as GCS
    from penstock.storage.gcs import GcsBucket as GcsBucket
    from penstock.storage.git import GitHub as GitHub
    from penstock.storage.local import LocalFileSystem as LocalFileSystem
    from penstock.storage.remote import RemoteFileSystem as RemoteFileSystem
    from penstock.storage.s3 import S3 as S3
    from penstock.storage.s3 import S3Bucket as S3Bucket
    from penstock.storage.smb import SMB as SMB

#: public name -> module of `penstock.storage` that holds it
_PUBLIC = {
    "Azure": "azure",
    "GCS": "gcs",
    "GcsBucket": "gcs",
    "GitHub": "git",
    "LocalFileSystem": "local",
    "RemoteFileSystem": "remote",
    "S3": "s3",
    "S3Bucket": "s3",
    "SMB": "smb",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'penstock.filesystems' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"penstock.storage.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
