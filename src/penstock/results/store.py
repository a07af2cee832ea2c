"""What is written down of the results of one flow run and its tasks, and where."""

from typing import Any, Protocol

from penstock.model.states import State


class ResultOptions(Protocol):
    """What a flow or a task says about its results."""

    @property
    def persist_result(self) -> bool | None: ...

    @property
    def result_storage(self) -> Any: ...

    @property
    def result_serializer(self) -> Any: ...

    @property
    def cache_result_in_memory(self) -> bool: ...


class TaskResultOptions(ResultOptions, Protocol):
    @property
    def cache_key_fn(self) -> Any: ...


class ResultStore:
    """Where the results of one flow, or of one task, go. Made once per flow run; costs nothing until one is written."""

    __slots__ = ("in_memory", "persists")

    def __init__(self, persists: bool, in_memory: bool) -> None:
        self.persists = persists
        self.in_memory = in_memory

    @classmethod
    def for_flow(cls, flow: ResultOptions, parent: "ResultStore | None" = None) -> "ResultStore":
        """The store of a run of `flow`; storage and serializer that it does not set are those of its `parent`."""
        return cls(bool(flow.persist_result), flow.cache_result_in_memory)

    def for_task(self, task: TaskResultOptions) -> "ResultStore":
        """The store of a task of the flow: this very one if the task says nothing about results."""
        return self

    def prepare(self) -> None:
        """Find storage and serializer now, so that a wrong name is told before the work is done. Blocks.

        Raises ConfigurationError, NotFound.
        """

    def keep(self, state: State, storage_key: str | None = None) -> State:
        """Write down the value of a Completed `state`, or the exception of a Failed one, if this store persists.

        Returns the state, whose data is then a `Result`. `storage_key`: under which name, by default a random one.
        Raises SerializationError for a value that cannot be written; an exception that cannot stays as it is. Blocks.
        """
        return state
