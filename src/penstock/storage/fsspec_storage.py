"""What storages on fsspec have in common. fsspec is imported where a file is touched."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from penstock.blocks.extras import holds_reference, import_extra
from penstock.blocks.http import hide
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError
from penstock.model.findings import Finding
from penstock.storage.base import Storage
from penstock.storage.folders import files_below, ignored_in, size_of
from penstock.storage.store_errors import explained, kind_of, words_of
from penstock.storage.transfers import MAX_TRIES, Transfer, carry_out, patiently

T = TypeVar("T")

#: Schemes whose URLs begin with a bucket; and where a file that is written appears whole or not at all; elsewhere it is written under another name and then moved.
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "oci", "oss"})
_WHOLE_FILES = _BUCKETS | {"memory"}
#: Of a scheme, the extra that brings what fsspec needs for it.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure-storage",
    "abfs": "azure-storage",
    "smb": "smb",
    "sftp": "sftp",
    "ssh": "sftp",
}
#: Schemes whose file system is one of ours, where fsspec's own does not do: module and class.
_OWN = {
    "smb": ("penstock.storage.smb_shares", "SMBShares"),
    "sftp": ("penstock.storage.sftp", "SftpServer"),
    "ssh": ("penstock.storage.sftp", "SftpServer"),
}
#: Arguments that are no secret, and that people need in errors: where the store is.
_TOLD = frozenset({"endpoint_url", "project", "profile", "client_kwargs"})
#: Files that travel at once where the library below is asynchronous.
AT_ONCE = 32
#: Tries where the library below tries again by itself.
_FEW_TRIES = 2

logger = logging.getLogger(__name__)


class FsspecStorage(Storage):
    """What storages on fsspec have in common: they say where, and how to get in."""

    @abstractmethod
    def location(self) -> str:
        """The URL that all paths are relative to, e.g. s3://bucket/folder."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The arguments of fsspec's file system, secrets in clear."""

    @property
    def filesystem(self) -> Any:
        """The file system of fsspec. Raises ConfigurationError if the package it needs is not installed."""
        scheme = self._scheme()
        fsspec = import_extra("fsspec", extra=_EXTRAS.get(scheme, "remote"), user=self.get_block_type_name())
        if scheme in _OWN:
            module, name = _OWN[scheme]
            found = import_extra(module, extra=_EXTRAS[scheme], user=f"{self.get_block_type_name()} on {scheme}://")
            return getattr(found, name)(**self.options())
        options = self.options()
        if scheme in {"s3", "s3a"}:  # botocore's own limit of connections is ten
            options["config_kwargs"] = {"max_pool_connections": AT_ONCE, **(options.get("config_kwargs") or {})}
        try:
            return fsspec.filesystem(scheme, **options)
        except ImportError as error:
            raise ConfigurationError(
                f"{self.get_block_type_name()} cannot use {scheme}://: {error}",
                code="extra_missing",
                hint=f"pip install 'penstock[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else None,
            ) from error

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        block, target = resolved(self), Path(local_path or ".").expanduser().resolve()
        source = block._place(from_path)
        files = block._ask(source, lambda files: files)
        found = block._ask(source, lambda files: _list(files, source), files)
        transfers = [
            Transfer(path, _inside(target, path, PurePosixPath(path.removeprefix(source).lstrip("/"))), size)
            for path, size in found.items()
            if not path.endswith("/") and path != source  # a marker that some tools leave for a folder
        ]
        if not transfers:
            raise FileNotFoundError(f"There is nothing at {block._told(source)}.")

        def fetch(transfer: Transfer) -> None:
            block._ask(transfer.source, lambda files: files.get_file(transfer.source, str(transfer.target)), files)

        carry_out(transfers, fetch, at_once=_at_once(files), told=f"fetched from {block._told(source)}")
        return len(transfers)

    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        block, source = resolved(self), Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise FileNotFoundError(f"There is no folder {source}.")
        ignore, target = ignored_in(source, ignore_file), block._place(to_path)
        transfers = [
            Transfer(str(source / path), f"{target}/{path.as_posix()}", size_of(source / path))
            for path in files_below(source, ignore, skip=Path(target))
        ]
        files = block._ask(target, lambda files: files)
        if not block._is_whole():
            block._ask(target, lambda files: _make_folders(files, transfers), files)

        def send(transfer: Transfer) -> None:
            place = str(transfer.target)
            block._ask(
                place, lambda files: block._write(files, place, lambda at: files.put_file(transfer.source, at)), files
            )

        carry_out(transfers, send, at_once=_at_once(files), told=f"stored at {block._told(target)}")
        return len(transfers)

    def read_path(self, path: str) -> bytes:
        block = resolved(self)
        place = block._place(path)
        return block._ask(place, lambda files: bytes(files.cat_file(place)))

    def write_path(self, path: str, content: bytes) -> str:
        block = resolved(self)
        place = block._place(path)

        def write(files: Any) -> None:
            if not block._is_whole():
                files.makedirs(files._parent(place), exist_ok=True)
            block._write(files, place, lambda at: files.pipe_file(at, content))

        block._ask(place, write)
        return path

    def check(self) -> list[Finding]:
        found = super().check()
        if not all(finding.ok for finding in found):
            return found
        block = resolved(self)
        tried = f"the place {block.location()}"
        try:
            block._look()
        except FileNotFoundError as error:
            if block._root() == block._base() and block._scheme() not in _BUCKETS:
                return [*found, Finding(tried, True, "is not there yet: it is made where something is written")]
            return [*found, Finding(tried, False, str(error), "Create it, or correct its name.")]
        except (OSError, ConfigurationError) as error:
            return [*found, Finding(tried, False, str(error), getattr(error, "hint", "") or "Check name and access.")]
        return [*found, Finding(tried, True, "can be read")]

    def _look(self) -> None:
        """Raise what keeps this process from reading. A key that may see a folder alone learns nothing of its bucket."""
        try:
            self._ask(self._root(), lambda files: files.info(self._root()))
        except PermissionError:
            base = self._base()
            if base == self._root():
                raise
            self._ask(base, lambda files: files.ls(base))

    def _is_whole(self) -> bool:
        return self._scheme() in _WHOLE_FILES

    def _scheme(self) -> str:
        return urlsplit(self.location()).scheme

    def _write(self, files: Any, place: str, write_at: Callable[[str], None]) -> None:
        """Have a file written at `place`, whole or not at all. The folder above it is there."""
        if self._is_whole():
            write_at(place)
            return
        draft = f"{place}.{uuid4().hex}.draft"
        try:
            write_at(draft)
            files.mv(draft, place)
        except BaseException:
            with suppress(Exception):  # the error that matters is on its way
                files.rm_file(draft)
            raise

    def _root(self) -> str:
        """What has to exist before anything can be written: the bucket. Folders are made."""
        return self._base().partition("/")[0] if self._scheme() in _BUCKETS else self._base()

    def _place(self, path: str | None) -> str:
        """Where `path` is, as fsspec's file system names it. Raises ConfigurationError if it leads out of the base."""
        base = self._base()
        if not path:
            return base
        if "://" in path and path.startswith(self.location().rstrip("/") + "/"):
            path = path.removeprefix(self.location().rstrip("/"))
        parts = [part for part in path.replace("\\", "/").split("/") if part not in {"", "."}]
        if ".." in parts or "://" in path:
            raise ConfigurationError(
                f"The path {path!r} leads out of the storage's folder {self.location()}.",
                code="path_outside_storage",
                hint="Use a path below the folder, or a storage block with another one.",
            )
        return "/".join([base, *parts])

    def _base(self) -> str:
        return str(self.filesystem._strip_protocol(self.location())).rstrip("/")

    def _told(self, place: str) -> str:
        """The URL of `place`, for people."""
        base = self._base()
        if place == base or place.startswith(f"{base}/"):
            return self.location().rstrip("/") + place.removeprefix(base)
        scheme = self._scheme()
        return f"{scheme}://{place.lstrip('/') if scheme != 'file' else place}"

    def _ask(self, place: str, action: Callable[[Any], T], files: Any = None) -> T:
        """What `action` returns for the file system; tried again where the network was at fault. Errors are as in `_speaking`."""
        with self._speaking(place, files) as files:
            return patiently(lambda: action(files), _tries(files))

    @contextmanager
    def _speaking(self, place: str, files: Any = None) -> Iterator[Any]:
        """The file system. Errors of whatever library is below become OSError with its words, and without secrets."""
        try:
            files = files or self.filesystem
            yield files
        except (ConfigurationError, IsADirectoryError):
            raise
        except Exception as error:
            # The libraries below fsspec have no error in common.
            words = self._without_secrets(error)
            logger.debug("%s: %s: %s", self._told(place), type(error).__name__, words)
            kind = kind_of(error)
            if kind is FileNotFoundError:
                raise FileNotFoundError(
                    f"There is nothing at {self._told(place)}{self._why_nothing(files, words)}"
                ) from None
            if kind is PermissionError:
                raise PermissionError(f"{self._told(place)} may not be used: {words}") from None
            raise OSError(f"{self._told(place)} cannot be used: {explained(error, words)}") from None

    def _why_nothing(self, files: Any, words: str) -> str:
        """The end of the sentence that nothing is at a path: perhaps the bucket itself is missing."""
        root = self._root()
        if not files.async_impl:
            return f": {words}"
        with suppress(Exception):  # who may not look at the bucket learns no more
            if not files.exists(root):
                return f": {self._told(root)} does not exist"
        return ""

    def _without_secrets(self, error: Exception) -> str:
        secret = {name: value for name, value in self.options().items() if name not in _TOLD}
        return hide(words_of(error), texts_in(secret))


def _list(files: Any, source: str) -> dict[str, int]:
    """Path -> size of the files below `source`, as the store has them now."""
    files.invalidate_cache()
    # fsspec's own walk leaves out the folders that it cannot read
    strict = {} if files.async_impl or hasattr(files, "at_once") else {"on_error": "raise"}
    return {path: int(told.get("size") or 0) for path, told in files.find(source, detail=True, **strict).items()}


def _make_folders(files: Any, transfers: list[Transfer]) -> None:
    for folder in sorted({str(transfer.target).rpartition("/")[0] for transfer in transfers}):
        files.makedirs(folder, exist_ok=True)


def _inside(target: Path, path: str, inner: PurePosixPath) -> Path:
    if ".." in inner.parts:
        raise ConfigurationError(f"{path} would be written out of {target}: its name leads upwards.")
    return target / inner


def _at_once(files: Any) -> int:
    """Files that may travel at once: of an unknown library nobody knows whether threads may share it."""
    return AT_ONCE if files.async_impl else int(getattr(files, "at_once", 1))


def _tries(files: Any) -> int:
    if "abfs" in files.protocol:
        return 1  # Azure's own library tries for more than a minute
    return _FEW_TRIES if files.async_impl else MAX_TRIES


def check_no_scheme(value: str, field: str) -> str:
    """`value` if it begins with the name of a bucket or container. Raises ValueError."""
    if not holds_reference(value):
        if "://" in value:
            raise ValueError(f"{field} is {value!r}; it has to do without {value.partition('://')[0]}://.")
        if not value.strip("/"):
            raise ValueError(f"{field} is {value!r}, and does not say where.")
    return value


def texts_in(value: Any) -> Iterator[str]:
    """The texts in a file system's arguments that are not to be told, at any depth."""
    if isinstance(value, str):
        if len(value) > 3:  # a shorter text is no secret, and its mask would eat the message
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
