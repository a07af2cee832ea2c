"""When a request is asked again, and after which wait. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Answers that say "not now": the request was not acted on, or a proxy gave up on it.
TRY_AGAIN = frozenset({408, 429, 502, 503, 504})

#: The longest first wait in seconds; the longest wait doubles with each try.
FIRST_WAIT = 0.5


def worth_repeating(status: int, *, repeatable: bool) -> bool:
    """Whether a request that was answered with `status` is asked again.

    After 500, 502 and 504 nobody knows whether it was acted on: only what may be asked twice is asked again.
    """
    if status in {500, 502, 504}:
        return repeatable
    return status in TRY_AGAIN


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After header asks for, as number or date (RFC 9110, 10.2.3); None if it is unusable."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        # Longer numbers are not waits, and could not be turned into a float.
        return float(text) if len(text) < 10 else None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    try:
        return max(0.0, (date - now).total_seconds())
    except OverflowError:
        return None


def wait_before(retry: int, retry_after: float | None, longest: float, chance: float) -> float:
    """Seconds to wait before retry number `retry` (1, 2, 3 …), never more than `longest`.

    What the server asked for is obeyed, with up to a tenth more, so that its clients do not all come back at once.
    Otherwise it is full jitter: `chance`, a random number in [0, 1), of a limit that doubles each time.
    """
    if retry_after is not None:
        return min(longest, retry_after * (1 + chance / 10))
    limit = FIRST_WAIT * 2.0 ** min(retry - 1, 30)
    return chance * min(longest, limit)
