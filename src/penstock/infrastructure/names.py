"""Names of jobs: readable, valid on every platform, and never the same for two attempts.

The law that all platforms share: lower-case letters, digits and ``-``, starting with a letter, not ending with ``-``,
and at most 63 characters. The attempt's id is always part of the name, whole, so that no cut can make two names equal.
"""

import re
import unicodedata
from uuid import UUID

#: The longest name that every platform takes.
LIMIT = 63
_ID_LENGTH = 32
_FALLBACK = "run"


def slug(text: str, limit: int = LIMIT) -> str:
    """`text` cut down to letters, digits and single dashes, starting with a letter. Empty if nothing of it is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    dashed = re.sub(r"[^a-z0-9]+", "-", plain)
    return re.sub(r"^[^a-z]+", "", dashed)[:limit].strip("-")


def job_name(title: str, attempt_id: UUID, limit: int = LIMIT) -> str:
    """The name of the job of this attempt: what fits of `title`, a dash, and the attempt's id.

    The same arguments give the same name. Raises ValueError if `limit` leaves no room for the id.
    """
    room = limit - _ID_LENGTH - 1
    if room < 1:
        raise ValueError(f"a job's name needs at least {_ID_LENGTH + 2} characters, not {limit}")
    readable = slug(title, room) or _FALLBACK[:room]
    return f"{readable}-{attempt_id.hex}"
