"""RunInput: what a paused run waits for, and what runs send to each other while they run."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar, cast
from uuid import UUID, uuid4

from penstock.client import flow_run_inputs
from penstock.clock import monotonic
from penstock.engine.context import FLOW_RUN
from penstock.engine.dispatch import carry_out
from penstock.engine.run_control import speaker
from penstock.engine.run_inputs import BaseRunInput, RunInputMetadata, model_for
from penstock.engine.steps import Blocking, Sleep, Steps, drive, drive_async
from penstock.errors import ConfigurationError, MissingContext
from penstock.model.flow_run_inputs import FlowRunInput

T = TypeVar("T")

#: What a run calls itself as the sender of inputs, before its id.
SENDER = "penstock.flow-run."
#: Seconds between the first looks for an input; each pause is longer than the one before.
FIRST_PAUSE = 0.1


class RunInput(BaseRunInput):
    """What a run asks for, or is sent: a subclass names the fields.

    ``pause_flow_run(wait_for_input=Approval)`` gives an `Approval`. `with_initial_data` fills in what is known.
    """

    def send_to(self, flow_run_id: UUID | str, sender: str | None = None, key_prefix: str | None = None) -> Any:
        """Send this to a run, which gets it from `receive`. To be awaited in asynchronous code."""
        return send_input(self, flow_run_id, sender, key_prefix)

    def respond(self, run_input: Any, sender: str | None = None, key_prefix: str | None = None) -> Any:
        """Send `run_input` to the run that has sent this one. Raises ConfigurationError if that is not known."""
        return send_input(run_input, _run_of(self.metadata.sender), sender, key_prefix)

    @classmethod
    def receive(
        cls,
        timeout: float | None = 3600,
        poll_interval: float = 10,
        raise_timeout_error: bool = False,
        exclude_keys: Iterable[str] | None = None,
        key_prefix: str | None = None,
        flow_run_id: UUID | str | None = None,
    ) -> "GetInputHandler[Self]":
        """Inputs of this type that are sent to the run. See `receive_input`."""
        return receive_input(
            cls, timeout, poll_interval, raise_timeout_error, exclude_keys, key_prefix, flow_run_id, with_metadata=True
        )


class GetInputHandler(Generic[T]):
    """The inputs that were sent to a run and those that are still to come, the oldest first, each once.

    Iterate over it, ``async for`` in asynchronous code, or ask for the `next` one. It ends when none has come for
    `timeout` seconds; then `next` raises TimeoutError, and so does iterating with `raise_timeout_error`.
    """

    def __init__(
        self,
        wanted: type[BaseRunInput],
        flow_run_id: UUID,
        key_prefix: str,
        *,
        timeout: float | None,
        poll_interval: float,
        raise_timeout_error: bool,
        exclude_keys: Iterable[str],
        with_metadata: bool,
    ) -> None:
        self._wanted, self._flow_run_id, self._prefix = wanted, flow_run_id, key_prefix
        self._timeout, self._poll_interval = timeout, max(poll_interval, FIRST_PAUSE)
        self._raises = raise_timeout_error
        self._known = set(exclude_keys)
        self._with_metadata = with_metadata

    def next(self) -> Any:
        """The next input. To be awaited in asynchronous code. Raises TimeoutError."""
        return carry_out(self._next_steps())

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return drive(self._next_steps())
        except TimeoutError:
            if self._raises:
                raise
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await drive_async(self._next_steps())
        except TimeoutError:
            if self._raises:
                raise
            raise StopAsyncIteration from None

    def _next_steps(self) -> Steps[T]:
        deadline = None if self._timeout is None else monotonic() + self._timeout
        pause = FIRST_PAUSE
        ask, close = speaker()
        try:
            while True:
                call = flow_run_inputs.filter_flow_run_input(self._flow_run_id, self._prefix, 1, self._known)
                found: list[FlowRunInput] = yield Blocking(lambda: ask(call))  # noqa: B023 - called at once
                if found:
                    return self._taken(found[0])
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"No {self._prefix} was sent to the run within {self._timeout:g} s")
                yield Sleep(pause if left is None else min(pause, left))
                pause = min(pause * 1.5, self._poll_interval, 2.0)
        finally:
            close()

    def _taken(self, found: FlowRunInput) -> T:
        self._known.add(found.key)
        made = self._wanted.from_json(found.value)
        made._metadata = RunInputMetadata(key=found.key, sender=found.sender, receiver=found.flow_run_id)
        return cast(T, made if self._with_metadata else made.unwrapped())


def send_input(
    run_input: Any, flow_run_id: UUID | str, sender: str | None = None, key_prefix: str | None = None
) -> Any:
    """Send an input, a `RunInput` or any other value, to a run. To be awaited in asynchronous code.

    `sender` is by default the run that sends it. Inputs are kept with the run that they are sent to.
    """
    wanted = model_for(type(run_input))
    made = run_input if isinstance(run_input, BaseRunInput) else wanted.model_validate({"value": run_input})
    key = f"{key_prefix or prefix_of(wanted)}-{uuid4()}"
    run = FLOW_RUN.get()
    if sender is None and run is not None:
        sender = f"{SENDER}{run.flow_run.id}"
    return carry_out(_send_steps(UUID(str(flow_run_id)), key, made.model_dump_json(), sender))


def receive_input(
    input_type: Any,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    raise_timeout_error: bool = False,
    exclude_keys: Iterable[str] | None = None,
    key_prefix: str | None = None,
    flow_run_id: UUID | str | None = None,
    with_metadata: bool = False,
) -> GetInputHandler[Any]:
    """Inputs of a type, a `RunInput` or any other such as ``str``, that are sent to the run around the calling code.

    `timeout`: seconds to wait for each. `poll_interval`: most seconds between two looks. `flow_run_id`: those of
    another run. `with_metadata`: what is no `RunInput` comes as an object with `value` and `metadata`.
    """
    run = FLOW_RUN.get()
    if flow_run_id is None and run is None:
        raise MissingContext("Inputs are received by runs, and there is none here.", hint="Name the run: flow_run_id=…")
    wanted = model_for(input_type)
    return GetInputHandler(
        wanted,
        UUID(str(flow_run_id)) if flow_run_id is not None or run is None else run.flow_run.id,
        key_prefix or prefix_of(wanted),
        timeout=timeout,
        poll_interval=poll_interval,
        raise_timeout_error=raise_timeout_error,
        exclude_keys=exclude_keys or (),
        with_metadata=with_metadata,
    )


def prefix_of(wanted: type[BaseRunInput]) -> str:
    """How the keys of inputs of that type begin when they are sent."""
    return f"{wanted.__name__.lower()}-auto"


def _send_steps(flow_run_id: UUID, key: str, value: str, sender: str | None) -> Steps[None]:
    ask, close = speaker()
    try:
        yield Blocking(lambda: ask(flow_run_inputs.create_flow_run_input(flow_run_id, key, value, sender)))
    finally:
        close()


def _run_of(sender: str | None) -> UUID:
    if sender is None or not sender.startswith(SENDER):
        raise ConfigurationError(f"The input was sent by {sender or 'nobody who said so'}, which is no run")
    return UUID(sender.removeprefix(SENDER))
