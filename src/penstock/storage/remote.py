"""Storage on anything that fsspec knows: object stores, servers, memory. fsspec is imported where a file is touched."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.fields import SecretDict
from penstock.blocks.http import hide
from penstock.errors import ConfigurationError, did_you_mean
from penstock.storage.fsspec_storage import FsspecStorage, texts_in
from penstock.storage.store_errors import words_of


class RemoteFileSystem(FsspecStorage):
    """Keeps files on anything that fsspec has a file system for: s3, gs, abfs, sftp, smb, hdfs, webdav, memory, …

    Its package has to be installed wherever the block is used.
    """

    _block_type_name: ClassVar[str | None] = "Remote File System"
    _block_type_slug: ClassVar[str | None] = "remote-file-system"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import RemoteFileSystem

        RemoteFileSystem(basepath="sftp://files.example.com/flows", settings={"username": "me"}).save("BLOCK_NAME")
    """

    basepath: str = Field(description="URL that all paths are relative to, e.g. s3://my-bucket/my-folder/.")
    settings: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        description="Arguments of fsspec's file system, which depend on the scheme. All of them are kept secret.",
    )

    @field_validator("basepath")
    @classmethod
    def _check_basepath(cls, value: str) -> str:
        if holds_reference(value):
            return value
        parts = urlsplit(value)
        if not parts.scheme:
            raise ValueError(f"basepath is {value!r}; it has to be a URL, e.g. s3://my-bucket/my-folder.")
        if not (parts.netloc or parts.path.strip("/")):
            raise ValueError(f"basepath is {value!r}, a scheme alone; what follows it has to say where.")
        if parts.password:
            raise ValueError("basepath holds a password, and is no secret: give it in settings.")
        known = _known_schemes()
        if known and parts.scheme not in known:
            raise ValueError(f"fsspec knows no scheme {parts.scheme!r}.{did_you_mean(parts.scheme, known)}")
        return value

    def location(self) -> str:
        return self.basepath

    def options(self) -> dict[str, Any]:
        return {**_told_by_url(self.basepath), **self.settings.get_secret_value()}

    def _without_secrets(self, error: Exception) -> str:
        return hide(words_of(error), texts_in(self.settings.get_secret_value()))


def _known_schemes() -> list[str]:
    """What fsspec knows here, packages that announce themselves to it included; nothing where it is not installed."""
    try:
        fsspec = import_extra("fsspec", extra="remote", user="RemoteFileSystem")
    except ConfigurationError:
        return []
    return list(fsspec.available_protocols())


def _told_by_url(url: str) -> dict[str, Any]:
    """The arguments of fsspec's file system that stand in the URL, such as host and port."""
    fsspec = import_extra("fsspec", extra="remote", user="RemoteFileSystem")
    try:
        kind = fsspec.get_filesystem_class(urlsplit(url).scheme)
    except ImportError:  # told with its cure where the file system is made
        return {}
    return dict(kind._get_kwargs_from_urls(url))
