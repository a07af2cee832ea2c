"""The API from outside. `get_client` is the door for coroutines, `get_sync_client` for everybody else.

A request is a `Call`, built by the module of its noun; a client sends it:

    with get_sync_client() as client:
        run = client.send(flow_runs.read_flow_run(run_id))
    async with get_client() as client:
        run = await client.send(flow_runs.read_flow_run(run_id))
"""

from typing import TYPE_CHECKING

from penstock.lazy import public_names

if TYPE_CHECKING:
    from penstock.client.asynchronous import AsyncClient as AsyncClient
    from penstock.client.asynchronous import get_client as get_client
    from penstock.client.call import Call as Call
    from penstock.client.sync import SyncClient as SyncClient
    from penstock.client.sync import get_sync_client as get_sync_client

_PUBLIC = {
    "AsyncClient": "penstock.client.asynchronous",
    "Call": "penstock.client.call",
    "SyncClient": "penstock.client.sync",
    "get_client": "penstock.client.asynchronous",
    "get_sync_client": "penstock.client.sync",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
