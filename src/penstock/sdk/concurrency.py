"""Slots of named concurrency limits, around a piece of code: for threads and for coroutines.

Cheap to import: what speaks to the server is loaded when the first slot is asked for.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from penstock.errors import ParameterError, PenstockError

if TYPE_CHECKING:
    from penstock.sdk.slot_holders import Request


class ConcurrencySlotAcquisitionError(PenstockError):
    """The server says that no waiting will bring these slots."""

    code = "slots_denied"


class AcquireConcurrencySlotTimeoutError(PenstockError, TimeoutError):
    """The slots were not free in time."""

    code = "slots_timeout"


@contextmanager
def concurrency(names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None) -> Iterator[None]:
    """Hold `occupy` slots of each of the limits `names` while the body runs; waits until all of them are free at once.

    Inside of a run the slots are given back at the latest when the run is over, however it ends. Outside, they are leased
    and renewed from a thread, and come free when the process dies. A name that has no limit holds nobody up.

    Raises AcquireConcurrencySlotTimeoutError after `timeout_seconds` of waiting, and ConcurrencySlotAcquisitionError if
    there are fewer slots than asked for.
    """
    request = _request(names, occupy, timeout_seconds)
    if request is None:
        yield
        return
    from penstock.engine.steps import drive

    holding = drive(request.acquire())
    try:
        yield
    finally:
        holding.release()


@asynccontextmanager
async def concurrency_async(
    names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None
) -> AsyncIterator[None]:
    """`concurrency` for coroutines: ``async with concurrency(...)``. Other coroutines go on while this one waits."""
    request = _request(names, occupy, timeout_seconds)
    if request is None:
        yield
        return
    import asyncio

    from penstock.engine.steps import drive_async

    holding = await drive_async(request.acquire())
    try:
        yield
    finally:
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(None, holding.release))


def rate_limit(names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None) -> None:
    """Wait for `occupy` slots of each of the limits `names`, and leave them taken: they come free as the limits decay.

    Raises ConcurrencySlotAcquisitionError if the slots of a limit do not decay, and what `concurrency` raises.
    """
    request = _request(names, occupy, timeout_seconds, rate=True)
    if request is not None:
        from penstock.engine.steps import drive

        drive(request.acquire())


async def rate_limit_async(names: str | Sequence[str], occupy: int = 1, timeout_seconds: float | None = None) -> None:
    """`rate_limit` for coroutines."""
    request = _request(names, occupy, timeout_seconds, rate=True)
    if request is not None:
        from penstock.engine.steps import drive_async

        await drive_async(request.acquire())


def _request(
    names: str | Sequence[str], occupy: int, timeout_seconds: float | None, *, rate: bool = False
) -> "Request | None":
    """What is asked for; None if that is nothing."""
    listed = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    wrong = [name for name in listed if not isinstance(name, str) or not name]
    if wrong:
        raise ParameterError(f"The name of a concurrency limit must be a string that is not empty, not {wrong[0]!r}")
    if isinstance(occupy, bool) or not isinstance(occupy, int) or occupy < 1:
        raise ParameterError(f"occupy must be a whole number of at least 1, not {occupy!r}")
    if timeout_seconds is not None and timeout_seconds < 0:
        raise ParameterError(f"timeout_seconds must not be negative, and is {timeout_seconds!r}")
    if not listed:
        return None
    from penstock.sdk.slot_holders import Request

    return Request(
        listed,
        occupy,
        timeout_seconds,
        rate=rate,
        denied=ConcurrencySlotAcquisitionError,
        timed_out=AcquireConcurrencySlotTimeoutError,
    )
