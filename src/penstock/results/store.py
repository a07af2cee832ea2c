"""What is written down of the results of one flow run and its tasks, how, and where."""

import threading
from typing import Any, Protocol
from uuid import uuid4

from penstock import settings
from penstock.errors import ConfigurationError, PenstockError, RunError, SerializationError
from penstock.model.base import JSONObject
from penstock.model.results import FORMAT, Result, is_literal
from penstock.model.states import State, StateType


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


class Shelf:
    """One storage with one serializer, named as the user names them; found when they are first needed.

    None stands for what the settings say.
    """

    __slots__ = ("_found", "_lock", "serializer", "storage")

    def __init__(self, storage: Any = None, serializer: Any = None) -> None:
        self.storage = storage
        self.serializer = serializer
        self._found: tuple[Any, Any] | None = None
        self._lock = threading.Lock()

    def find(self) -> tuple[Any, Any]:
        """The `Place` and the `Serializer`. Blocks the first time. Raises ConfigurationError, NotFound."""
        with self._lock:
            if self._found is None:
                from penstock.results import reading
                from penstock.results.places import find_place
                from penstock.results.serializers import as_serializer

                given = self.serializer
                serializer = as_serializer(
                    settings.get("PENSTOCK_RESULTS_DEFAULT_SERIALIZER") if given is None else given
                )
                place = find_place(self.storage)
                if place.block_id is not None:
                    reading.remember(place.block_id, place.storage)
                self._found = place, serializer
            return self._found


class ResultStore:
    """Where the results of one flow, or of one task, go. Made once per flow run; costs nothing until one is written.

    `persists`: whether anything is written at all. `in_memory`: whether values stay in memory too.
    """

    __slots__ = ("_for_tasks", "_shelf", "in_memory", "persists")

    def __init__(self, persists: bool, in_memory: bool, shelf: Shelf) -> None:
        self.persists = persists
        self.in_memory = in_memory
        self._shelf = shelf
        #: what a task says -> its store, with what keeps the ids in the key from being given to others
        self._for_tasks: dict[tuple[Any, ...], tuple[ResultStore, Any]] = {}

    @classmethod
    def for_flow(cls, flow: ResultOptions, parent: "ResultStore | None" = None) -> "ResultStore":
        """The store of a run of `flow`; storage and serializer that it does not set are those of its `parent`."""
        shelf = _shelf(flow, parent._shelf if parent is not None else Shelf())
        return cls(_persists(flow, needed=False), flow.cache_result_in_memory, shelf)

    def for_task(self, task: TaskResultOptions) -> "ResultStore":
        """The store of a task of the flow. Storage and serializer are the flow's where the task does not set them."""
        options = (
            task.persist_result,
            task.cache_key_fn is not None,
            task.cache_result_in_memory,
            _key(task.result_storage),
            _key(task.result_serializer),
        )
        known = self._for_tasks.get(options)
        if known is None:
            persists = _persists(task, needed=task.cache_key_fn is not None)
            store = ResultStore(persists, task.cache_result_in_memory, _shelf(task, self._shelf))
            known = self._for_tasks[options] = store, (task.result_storage, task.result_serializer)
        return known[0]

    def prepare(self) -> None:
        """Find storage and serializer now, so that a wrong name is told before the work is done. Blocks.

        Raises ConfigurationError, NotFound.
        """
        if self.persists:
            self._shelf.find()

    def keep(self, state: State, storage_key: str | None = None, *, of: str = "the run") -> State:
        """Write down the value of a Completed `state`, or the exception of a Failed one, if this store persists.

        Returns the state, whose data is then a `Result`. `storage_key`: under which name, by default a random one. `of`:
        whose result it is, for messages.
        Raises SerializationError for a value that cannot be written, and ResultError when the storage refuses;
        an exception that cannot be written stays as it is. Blocks.
        """
        if not self.persists or isinstance(state.data, Result):
            return state
        if state.type is StateType.COMPLETED:
            value = state.data
            reference = (
                {"type": "literal", "value": value} if is_literal(value) else self._write(value, storage_key, of)
            )
            state.data = Result(reference, value) if self.in_memory else Result(reference)
        elif state.type is StateType.FAILED:
            self._keep_exception(state)
        return state

    def _write(self, value: Any, storage_key: str | None, of: str) -> JSONObject:
        from penstock.results import blobs

        place, serializer = self._shelf.find()
        try:
            content = blobs.pack(serializer, value)
        except Exception as error:
            raise _cannot_write(value, serializer, error, of) from error
        return self._put(place, serializer, storage_key, content)

    def _put(self, place: Any, serializer: Any, storage_key: str | None, content: bytes) -> JSONObject:
        key = place.write(storage_key or uuid4().hex, content)
        return {
            "type": "reference",
            "storage_block_id": str(place.block_id) if place.block_id is not None else None,
            "storage_key": key,
            "serializer_type": serializer.type,
            "format": FORMAT,
        }

    def _keep_exception(self, state: State) -> None:
        """Write the exception down, if it comes back from there; what matters of it is in the state's message anyway."""
        from penstock.results import blobs

        error = state.result(raise_on_failure=False)
        if isinstance(error, RunError):
            return  # made from the message alone
        try:
            place, serializer = self._shelf.find()
            content = blobs.pack(serializer, error)
            # Many exceptions of users' own can be written but not be made again from what is written.
            if type(blobs.unpack(content)).__qualname__ == type(error).__qualname__:
                state.data = Result(self._put(place, serializer, None, content), error)
        except Exception:
            return


def _shelf(options: ResultOptions, inherited: Shelf) -> Shelf:
    """What `options` name, and where they name nothing what is inherited."""
    if options.result_storage is None and options.result_serializer is None:
        return inherited
    storage = inherited.storage if options.result_storage is None else options.result_storage
    serializer = inherited.serializer if options.result_serializer is None else options.result_serializer
    return Shelf(storage, serializer)


def _persists(options: ResultOptions, *, needed: bool) -> bool:
    if options.persist_result is not None:
        return options.persist_result
    return needed or not options.cache_result_in_memory or bool(settings.get("PENSTOCK_RESULTS_PERSIST_BY_DEFAULT"))


def _key(option: Any) -> Any:
    """What tells options apart: names by what they say, objects by which they are."""
    return option if option is None or isinstance(option, str) else id(option)


def _cannot_write(value: Any, serializer: Any, error: Exception, of: str) -> PenstockError:
    """Why `serializer` could not write `value`, and which part of that is to blame."""
    from penstock.results.culprits import find_culprit

    if isinstance(error, ConfigurationError):
        return error

    def can_write(part: Any) -> bool:
        try:
            serializer.dumps(part)
        except Exception:
            return False
        return True

    way, part = find_culprit(value, can_write)
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
    blamed = f"its part {way.removeprefix(', ')} is of type {kind}" if way else f"it is of type {kind}"
    return SerializationError(
        f"The result of {of} cannot be written by the serializer {serializer.type}: {blamed}: "
        f"{type(error).__name__}: {error}",
        hint="Return what can be written, and not connections, locks, open files or generators; or choose another "
        "result_serializer; or keep the result in memory only, with persist_result=False.",
    )
