"""Flow code that travels by itself: packed where a deployment is built, kept by the server, fetched by each job."""

import gzip
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import Field

from penstock import settings
from penstock.blocks.base import Block
from penstock.clock import monotonic
from penstock.errors import CodeError
from penstock.model.bundle_archives import ArrivingArchive, NotThisArchive
from penstock.model.bundles import BUNDLE_SLUG, BundleOffer, Digest, largest_archive
from penstock.storage import bundle_cache
from penstock.storage.bundle_ignore import rules_of
from penstock.storage.bundle_packing import STEP, Contents, pack, survey
from penstock.storage.bundle_unpacking import unpack
from penstock.storage.transfers import TELL_SECONDS, size_text

if TYPE_CHECKING:
    from penstock.client.sync import SyncClient

#: Bytes from which on a bundle is called large.
LARGE = 50_000_000
#: How many files or folders a message names.
_NAMED = 5

logger = logging.getLogger(__name__)


class Bundle(Block):
    """The files of a project as they were when a deployment was built. The server keeps them; jobs fetch them from it.

    It is made by `penstock deployment build --code bundle`, not by hand: `digest` names its content.
    """

    _block_type_name: ClassVar[str | None] = "Bundle"
    _block_type_slug: ClassVar[str | None] = BUNDLE_SLUG
    _block_schema_capabilities: ClassVar[list[str] | None] = ["get-directory"]

    digest: Digest = Field(description="The SHA-256 of the archive of the files: sha256: and 64 hexadecimal digits.")
    size: int = Field(ge=0, description="Bytes of the files.")
    files: int = Field(ge=0, description="How many files and links there are.")
    project: str | None = Field(default=None, description="Name of the folder that was packed.")

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        """Copy the files, or those of the folder `from_path`, into `local_path` (None: the current folder).

        Raises CodeError if the server has other content under this digest, and what `SyncClient.send` raises.
        """
        target = Path(local_path or ".").expanduser()
        with bundle_cache.archive_of(self.digest, self._fetch) as archive:
            return unpack(archive, target, from_path)

    def offer(self) -> BundleOffer:
        """What the server is told before it is sent."""
        return BundleOffer(digest=self.digest, files=self.files, size=self.size, project=self.project)

    def _fetch(self, place: Path) -> None:
        """Download the archive to `place`, uncompressed. In a job, a server that is away is waited for."""
        from penstock.client import bundles, get_sync_client
        from penstock.client.patience import ask

        began = monotonic()
        with place.open("wb") as file, get_sync_client() as client:
            arriving = _Arriving(self, file)
            call = bundles.download_bundle(self.digest, arriving.write, arriving.begin)
            if _in_job():
                ask(client, call, float(settings.get("PENSTOCK_API_LOSS_SECONDS")))
            else:
                client.send(call)
            arriving.finish()
        logger.info(
            "Fetched the bundle %s: %s files, %s in %.1f s.",
            short(self.digest),
            self.files,
            size_text(self.size),
            monotonic() - began,
        )


@dataclass(frozen=True)
class Packed:
    """A bundle that was made here, and what is in it."""

    bundle: Bundle
    contents: Contents

    def manifest(self) -> str:
        """What is in it, for people: how many files, how large, under which digest, the largest."""
        found = self.bundle
        lines = [f"Bundle {short(found.digest)} of {found.project}: {found.files} files, {size_text(found.size)}."]
        lines += [f"  {size_text(entry.size):>9}  {entry.path}" for entry in self.contents.largest(_NAMED)]
        return "\n".join(lines)

    def warning(self) -> str | None:
        """A sentence if it is large, with where the bytes are."""
        if self.bundle.size <= LARGE:
            return None
        folders = ", ".join(f"{name} ({size_text(size)})" for name, size in self.contents.largest_folders(_NAMED))
        return (
            f"The bundle has {size_text(self.bundle.size)}, and each machine that runs it fetches that once. The most is in {folders}. "
            "Name in .penstockignore what is no code."
        )


def pack_project(root: Path, *, ignore_file: Path | None = None, include_secret_files: bool = False) -> Packed:
    """Make a bundle of the folder `root` and keep its archive on this machine. Nothing is sent.

    Raises CodeError: files that are known to hold secrets, unless `include_secret_files`; links that lead out of the
    folder; more bytes than PENSTOCK_BUNDLE_LIMIT_MB; nothing to pack.
    """
    root = root.expanduser().resolve()
    contents = survey(root, rules_of(root, ignore_file), skip=[settings.home()])
    _refuse(root, contents, include_secret_files)

    def write(place: Path) -> str:
        with place.open("wb") as file:
            return pack(root, contents, file.write)

    digest = bundle_cache.keep(write)
    files = len(contents.entries)
    return Packed(Bundle(digest=digest, size=contents.size, files=files, project=root.name or None), contents)


def _refuse(root: Path, contents: Contents, include_secret_files: bool) -> None:
    if not contents.entries:
        raise CodeError(
            f"There is nothing to bundle in {root}.",
            code="bundle_empty",
            hint="Build where the flow's file lies, and look into .penstockignore.",
        )
    if contents.secrets and not include_secret_files:
        named = ", ".join(contents.secrets[:_NAMED])
        more = f" and {len(contents.secrets) - _NAMED} more" if len(contents.secrets) > _NAMED else ""
        raise CodeError(
            f"The bundle would hold files that usually hold secrets: {named}{more}.",
            code="bundle_secrets",
            hint="Name them in .penstockignore (secrets belong into blocks), or say --include-secret-files.",
        )
    limit = float(settings.get("PENSTOCK_BUNDLE_LIMIT_MB")) * 1_000_000
    if contents.size > limit:
        folders = ", ".join(f"{name} ({size_text(size)})" for name, size in contents.largest_folders(_NAMED))
        raise CodeError(
            f"The bundle would have {size_text(contents.size)}, and PENSTOCK_BUNDLE_LIMIT_MB allows {size_text(int(limit))}. "
            f"The most is in {folders}.",
            code="bundle_too_large",
            hint="Name in .penstockignore what is no code; data belongs into a storage.",
        )


def send(client: "SyncClient", bundle: Bundle, root: Path, *, ignore_file: Path | None = None) -> bool:
    """Make sure that the server has `bundle`; returns whether it had to be sent.

    Its archive is that of this machine; where it is gone, `root` is packed again. Raises CodeError if that has changed
    since; Invalid if the server does not take it.
    """
    from penstock.client import bundles

    offer = bundle.offer()
    if client.send(bundles.offer_bundle(offer)).bundle is not None:
        return False
    archive = bundle_cache.find(bundle.digest)
    if archive is None:
        packed = pack_project(root, ignore_file=ignore_file, include_secret_files=True)
        archive = bundle_cache.find(packed.bundle.digest)
        if packed.bundle.digest != bundle.digest or archive is None:
            raise CodeError(
                f"The server does not have the bundle {short(bundle.digest)}, and the files in {root} are other ones by now: "
                f"they would be the bundle {short(packed.bundle.digest)}.",
                code="bundle_changed",
                hint="Build the deployment again where its code lies, or apply it where it was built.",
            )
    with _compressed(archive) as compressed:
        client.send(bundles.upload_bundle(offer, compressed))
    return True


@contextmanager
def _compressed(archive: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="penstock-bundle-") as folder:
        place = Path(folder, "archive.tar.gz")
        with (
            archive.open("rb") as source,
            place.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, fileobj=raw, mtime=0) as file,
        ):
            shutil.copyfileobj(source, file, STEP)
        yield place


class _Arriving:
    """A download into `file`, uncompressed as it comes."""

    def __init__(self, bundle: Bundle, file: BinaryIO) -> None:
        self._bundle, self._file, self._told = bundle, file, monotonic()
        self.begin()

    def begin(self) -> None:
        """Begin anew: an earlier try has brought nothing, or a part."""
        self._file.seek(0)
        self._file.truncate()
        self._archive = ArrivingArchive(self._bundle.digest, largest_archive(self._bundle.size, self._bundle.files))

    def write(self, piece: bytes) -> None:
        with self._judging():
            self._file.writelines(self._archive.feed(piece))
        if monotonic() > self._told + TELL_SECONDS:
            self._told = monotonic()
            # an archive is some larger than the files in it
            name, come = short(self._bundle.digest), min(self._file.tell(), self._bundle.size)
            size = size_text(self._bundle.size)
            logger.info("Fetching the bundle %s: %s of %s so far.", name, size_text(come), size)

    def finish(self) -> None:
        """Raises CodeError unless all of it has come and it is the right one."""
        with self._judging():
            self._archive.finish()

    @contextmanager
    def _judging(self) -> Iterator[None]:
        try:
            yield
        except NotThisArchive as error:
            raise CodeError(
                f"The server's bundle {short(self._bundle.digest)} is not what its digest says: {error}. Nothing of it was used.",
                code="bundle_damaged",
                hint="Delete it (penstock bundle delete), then build and apply the deployment again.",
            ) from None


def _in_job() -> bool:
    return bool(os.environ.get("PENSTOCK__ATTEMPT_ID"))


def short(digest: str) -> str:
    """A digest as people can say it."""
    return digest[: len("sha256:") + 12]
