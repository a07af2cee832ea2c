"""Storage blocks, under the module name that users of Prefect 2 know."""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

if TYPE_CHECKING:
    from penstock.storage.azure import Azure as Azure
    from penstock.storage.gcs import GCS as GCS
    from penstock.storage.gcs import GcsBucket as GcsBucket
    from penstock.storage.git import GitHub as GitHub
    from penstock.storage.git import GitRepository as GitRepository
    from penstock.storage.git_hosts import BitBucketRepository as BitBucketRepository
    from penstock.storage.git_hosts import GitLabRepository as GitLabRepository
    from penstock.storage.local import LocalFileSystem as LocalFileSystem
    from penstock.storage.remote import RemoteFileSystem as RemoteFileSystem
    from penstock.storage.s3 import S3 as S3
    from penstock.storage.s3 import S3Bucket as S3Bucket
    from penstock.storage.smb import SMB as SMB

#: public name -> module that holds it
_PUBLIC = {
    "Azure": "penstock.storage.azure",
    "BitBucketRepository": "penstock.storage.git_hosts",
    "GCS": "penstock.storage.gcs",
    "GcsBucket": "penstock.storage.gcs",
    "GitHub": "penstock.storage.git",
    "GitLabRepository": "penstock.storage.git_hosts",
    "GitRepository": "penstock.storage.git",
    "LocalFileSystem": "penstock.storage.local",
    "RemoteFileSystem": "penstock.storage.remote",
    "S3": "penstock.storage.s3",
    "S3Bucket": "penstock.storage.s3",
    "SMB": "penstock.storage.smb",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
