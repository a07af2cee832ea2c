"""How code inside and outside of runs asks the server."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from penstock.client.call import Call
from penstock.client.sync import get_sync_client
from penstock.engine.context import FLOW_RUN, TASK_RUN
from penstock.errors import Invalid

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def ask(call: Call[T]) -> T:
    """The answer to `call`. Inside of a run an API that is away is waited for, as long as the run does.

    Raises what `SyncClient.send` raises.
    """
    task, run = TASK_RUN.get(), FLOW_RUN.get()
    if task is not None:
        run = task.flow_run_context
    if run is not None:
        return run.session.ask(call)
    with get_sync_client() as client:
        return client.send(call)


def request(model: type[M], **fields: Any) -> M:
    """A `model` with these fields. Raises Invalid, as the server would, naming the field that does not fit."""
    try:
        return model(**fields)
    except ValidationError as error:
        from penstock.sdk.block_data import faults

        raise Invalid(faults(error)) from None
