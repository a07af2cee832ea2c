"""How code inside and outside of runs asks the server."""

import os
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.engine.context import FLOW_RUN
from penstock.errors import Invalid

if TYPE_CHECKING:
    from pydantic import BaseModel

    from penstock.client.call import Call

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")

#: In the environment of a job: the id of its run.
RUN_ID = "PENSTOCK__FLOW_RUN_ID"


def ask(call: "Call[T]") -> T:
    """The answer to `call`. Inside of a run an API that is away is waited for, as long as the run does.

    Raises what `SyncClient.send` raises.
    """
    run = FLOW_RUN.get()
    if run is not None:
        return run.session.ask(call)
    from penstock.client import get_sync_client
    from penstock.engine.job import assignment_from

    # a job may have no key, but its attempt has a token
    attempt = assignment_from(os.environ).attempt if RUN_ID in os.environ else None
    with get_sync_client(attempt=attempt) as client:
        return client.send(call)


def request(model: type[M], **fields: Any) -> M:
    """A `model` with these fields. Raises Invalid, as the server would, naming the field that does not fit."""
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        from penstock.sdk.block_data import faults

        raise Invalid(faults(error)) from None
