"""``async with concurrency(...)`` and ``await rate_limit(...)``."""

from penstock.sdk.concurrency import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
)
from penstock.sdk.concurrency import concurrency_async as concurrency
from penstock.sdk.concurrency import rate_limit_async as rate_limit

__all__ = ["AcquireConcurrencySlotTimeoutError", "ConcurrencySlotAcquisitionError", "concurrency", "rate_limit"]
