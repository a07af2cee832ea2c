"""Whether an archive that arrives in pieces is the one that its digest names."""

import hashlib
import zlib

from penstock.errors import Invalid

#: Bytes that are uncompressed at a time.
_STEP = 1024 * 1024
#: Bytes by which what cannot be compressed may grow.
_SLACK = 1024 * 1024
#: zlib's word for: a gzip header is expected.
_GZIP = 31


class ArchiveCheck:
    """Fed with a gzip file, piece by piece. Raises Invalid as soon as it is none, or grows beyond `limit` bytes."""

    def __init__(self, digest: str, limit: int) -> None:
        self._digest, self._limit = digest, limit
        self._hash = hashlib.sha256()
        self._uncompressed = zlib.decompressobj(_GZIP)
        self._size = 0
        #: bytes that it was fed with
        self.fed = 0

    def feed(self, piece: bytes) -> None:
        self.fed += len(piece)
        if self._uncompressed.eof or self.fed > self._limit + _SLACK:
            raise _damaged("something follows its end" if self._uncompressed.eof else "it holds less than it has bytes")
        going_on = True
        while going_on:
            try:
                content = self._uncompressed.decompress(piece, _STEP)
            except zlib.error as error:
                raise _damaged(str(error)) from None
            self._size += len(content)
            if self._size > self._limit:
                raise Invalid(
                    f"The archive holds more than the {self._limit:,} bytes that its files and their number allow.",
                    code="bundle_too_large",
                    status=413,
                )
            self._hash.update(content)
            piece = self._uncompressed.unconsumed_tail
            going_on = bool(piece) or (len(content) == _STEP and not self._uncompressed.eof)
        if self._uncompressed.unused_data:
            raise _damaged("something follows its end")

    def finish(self) -> None:
        """Raise Invalid unless all of it was there and its digest is right."""
        if not self._uncompressed.eof:
            raise _damaged("it ends in the middle")
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest:
            raise Invalid(
                f"The archive has the digest {found}, not {self._digest}: it is another bundle, or was changed on its way.",
                code="bundle_digest_wrong",
                hint="Send it again.",
            )


def _damaged(why: str) -> Invalid:
    return Invalid(f"The archive is no gzip file: {why}.", code="bundle_damaged", hint="Send it again.")
