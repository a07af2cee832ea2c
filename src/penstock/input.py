"""Typed input of runs, under the module name that users of Prefect 2 know."""

from penstock.engine.run_inputs import RunInputMetadata, keyset_from_base_key, keyset_from_paused_state
from penstock.sdk.run_inputs import GetInputHandler, RunInput, receive_input, send_input

__all__ = [
    "GetInputHandler",
    "RunInput",
    "RunInputMetadata",
    "keyset_from_base_key",
    "keyset_from_paused_state",
    "receive_input",
    "send_input",
]
