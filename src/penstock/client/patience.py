"""Asking for as long as it takes: what a run does while the API is away."""

import sys
import time
from typing import TypeVar

from penstock.client.call import Call
from penstock.client.sync import SyncClient
from penstock.clock import monotonic
from penstock.errors import Unreachable

T = TypeVar("T")

#: Longest wait in seconds between two tries while the API is away.
LONGEST_WAIT = 5.0


def ask(client: SyncClient, call: Call[T], patience: float) -> T:
    """The answer to `call`; nobody answering is waited out for up to `patience` seconds; stderr is told once."""
    since: float | None = None
    wait = 0.1
    while True:
        try:
            return client.send(call)
        except Unreachable as error:
            if since is None:
                since = monotonic()
                print(f"penstock: {error}. It is asked again for {patience:g} s.", file=sys.stderr)
            if monotonic() - since > patience:
                raise
        time.sleep(wait)
        wait = min(LONGEST_WAIT, wait * 2)
