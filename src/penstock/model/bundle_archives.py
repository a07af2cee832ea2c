"""The archive of a bundle as it travels: a gzip file that comes in pieces, and that its digest tells from all others. Pure."""

import hashlib
import zlib
from collections.abc import Iterator

#: Bytes that are uncompressed at a time.
_STEP = 1024 * 1024
#: Bytes by which what cannot be compressed may grow.
_SLACK = 1024 * 1024
#: zlib's word for: a gzip header is expected.
_GZIP = 31


class NotThisArchive(ValueError):
    """What came is not the archive of that digest. `too_large`: it has more bytes than the bundle can have."""

    def __init__(self, why: str, *, too_large: bool = False) -> None:
        super().__init__(why)
        self.too_large = too_large


class ArrivingArchive:
    """Fed with a gzip file piece by piece, gives what is in it, `limit` bytes at most."""

    def __init__(self, digest: str, limit: int) -> None:
        self._digest, self._limit = digest, limit
        self._hash = hashlib.sha256()
        self._uncompressed = zlib.decompressobj(_GZIP)
        self._size = 0
        #: bytes that it was fed with
        self.fed = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What `piece` brings, in parts of at most 1 MiB; to be read to the end. Raises NotThisArchive."""
        self.fed += len(piece)
        if self._uncompressed.eof:
            raise NotThisArchive("something follows its end")
        if self.fed > self._limit + _SLACK:
            raise NotThisArchive(f"it has more than {self._limit:,} bytes", too_large=True)
        going_on = True
        while going_on:
            try:
                content = self._uncompressed.decompress(piece, _STEP)
            except zlib.error as error:
                raise NotThisArchive(f"it is no gzip file ({error})") from None
            self._size += len(content)
            if self._size > self._limit:
                raise NotThisArchive(f"it holds more than {self._limit:,} bytes", too_large=True)
            self._hash.update(content)
            yield content
            piece = self._uncompressed.unconsumed_tail
            going_on = bool(piece) or (len(content) == _STEP and not self._uncompressed.eof)
        if self._uncompressed.unused_data:
            raise NotThisArchive("something follows its end")

    def finish(self) -> None:
        """Raises NotThisArchive unless all of it has come and its digest is right."""
        if not self._uncompressed.eof:
            raise NotThisArchive("it ends in the middle")
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise NotThisArchive(f"its digest is {found}")
