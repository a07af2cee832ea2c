"""How the server reaches its database: `read` and `write`, on SQLite and on PostgreSQL alike.

An operation is a plain function ``f(tx, …)`` that runs in one transaction. SQLite has one writer thread that takes waiting
operations in groups, all in one commit, so that a burst of writers costs one fsync and nobody ever meets a lock; if one of a
group fails, the group runs again with a savepoint around each. PostgreSQL runs operations side by side, each in its own
transaction, again if it lost a race.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, TypeVar

import pydantic_core
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from penstock import clock
from penstock.errors import APIError
from penstock.server.database.memory import Memory

_log = logging.getLogger("penstock.server.database")
T = TypeVar("T")

#: Operations that one SQLite commit takes along at most: bounds how long the first of them waits.
GROUP_SIZE = 64
#: Operations that may wait for their turn to write. More are refused: their clients wait, and no memory fills up.
MOST_WAITING = 2000
#: How often PostgreSQL is asked again when a transaction lost a race (serialization failure, deadlock).
RACE_RETRIES = 8
#: SQLSTATEs of a lost race: serialization_failure, deadlock_detected (PostgreSQL manual, appendix A).
LOST_RACE = frozenset({"40001", "40P01"})


def to_json(value: Any) -> str:
    """Data for a JSON column. What no database takes (NaN, NUL characters) becomes null and U+FFFD."""
    text = pydantic_core.to_json(value, inf_nan_mode="null").decode()
    return text.replace("\\u0000", "\\ufffd") if "\\u0000" in text else text


_JSON = {"json_serializer": to_json, "json_deserializer": pydantic_core.from_json}


@dataclass
class Transaction:
    """One transaction: its connection, the one time that everything in it happens at, what to tell after the commit, and what
    this server remembers of what others have read."""

    connection: sa.Connection
    now: datetime
    topics: set[str] = field(default_factory=set)
    memory: Memory = field(default_factory=Memory)

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def notify(self, topic: str) -> None:
        """Wake whoever waits for `topic`, once this is committed."""
        self.topics.add(topic)

    @property
    def dialect(self) -> str:
        return self.connection.dialect.name


class Hub:
    """Wakes coroutines of this process when something they wait for was committed."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        #: the server is about to stop: nobody waits any more
        self.closing = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def publish(self, topics: set[str]) -> None:
        """May be called from any thread."""
        if topics and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, frozenset(topics))

    def close(self) -> None:
        """Wake everybody, and let nobody wait again: called in the event loop when the server stops."""
        self.closing = True
        self._wake(frozenset(self._waiting))

    def _wake(self, topics: frozenset[str]) -> None:
        for topic in topics:
            for event in self._waiting.get(topic, ()):
                event.set()

    def subscribe(self, topics: list[str]) -> "Subscription":
        """Subscribe before looking, look, then wait: nothing that is committed in between is missed."""
        return Subscription(self, topics)


class Subscription:
    def __init__(self, hub: Hub, topics: list[str]) -> None:
        self._hub, self._topics, self._event = hub, list(topics), asyncio.Event()

    def __enter__(self) -> "Subscription":
        for topic in self._topics:
            self._hub._waiting.setdefault(topic, set()).add(self._event)
        return self

    def add(self, topics: Iterable[str]) -> bool:
        """Listen to these as well. True if one is new: what was seen before may have changed since."""
        new = set(topics) - set(self._topics)
        for topic in new:
            self._hub._waiting.setdefault(topic, set()).add(self._event)
        self._topics += new
        return bool(new)

    def __exit__(self, *_: object) -> None:
        for topic in self._topics:
            waiting = self._hub._waiting.get(topic)
            if waiting is not None:
                waiting.discard(self._event)
                if not waiting:
                    del self._hub._waiting[topic]

    async def wait(self, timeout: float) -> bool:
        """True if one of the topics was published since the last call, False after `timeout` seconds.

        False at once, too, when the server is stopping.
        """
        if self._hub.closing:
            return False
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        self._event.clear()
        return not self._hub.closing


class Database:
    """Opened once per server. `url` is ``sqlite:///PATH`` or ``postgresql://…`` (psycopg 3)."""

    def __init__(self, url: str, *, pool_size: int = 8, readers: int = 4) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        elif parsed.get_backend_name() == "sqlite":
            parsed = parsed.set(drivername="sqlite+pysqlite")
        self.url = parsed
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.hub = Hub()
        self.memory = Memory()
        #: when this server came up, by `clock.monotonic`: leases are not judged before agents had time to come back
        self.opened = clock.monotonic()
        workers = readers if self.is_sqlite else pool_size
        self.engine = self._sqlite_engine(workers) if self.is_sqlite else self._postgresql_engine(pool_size)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="database")
        self._writer = _Writer(self) if self.is_sqlite else None

    def _sqlite_engine(self, readers: int) -> sa.Engine:
        engine = sa.create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=readers + 2,
            max_overflow=4,
            connect_args={"check_same_thread": False, "timeout": 60},
            hide_parameters=True,
            **_JSON,
        )

        @sa.event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            # Transactions are ours to begin: the sqlite3 module would begin them late and deferred.
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in (
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "busy_timeout=60000",
                "temp_store=MEMORY",
                "cache_size=-16000",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            immediate = connection.get_execution_options().get("penstock_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        return engine

    def _postgresql_engine(self, pool_size: int) -> sa.Engine:
        return sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=2,
            pool_pre_ping=True,
            # what is written may be secret, and errors are logged
            hide_parameters=True,
            # an INSERT that met a conflict says so by its count
            execution_options={"preserve_rowcount": True},
            # prepared statements break behind PgBouncer in transaction mode
            connect_args={"prepare_threshold": None, "options": "-c timezone=UTC"},
            **_JSON,
        )

    async def read(self, function: Callable[Concatenate[Transaction, ...], T], *args: Any, **kwargs: Any) -> T:
        """Run `function(tx, *args, **kwargs)` on a snapshot; what it writes is thrown away."""
        return await asyncio.wrap_future(self._threads.submit(self._read, function, args, kwargs))

    async def write(self, function: Callable[Concatenate[Transaction, ...], T], *args: Any, **kwargs: Any) -> T:
        """Run `function(tx, *args, **kwargs)` in one transaction; returns after the commit. It may run more than once.

        Raises APIError ``busy`` (503) when too many operations wait already.
        """
        if self.waiting_writes >= MOST_WAITING:
            raise APIError(
                f"{MOST_WAITING} requests wait for the database already",
                code="busy",
                hint="Ask again a little later; clients of Penstock do so by themselves.",
                status=503,
            )
        return await asyncio.wrap_future(self.submit_write(function, *args, **kwargs))

    @property
    def waiting_writes(self) -> int:
        """How many operations wait for their turn to write."""
        return self._writer.waiting if self._writer is not None else self._threads._work_queue.qsize()

    def submit_write(
        self, function: Callable[Concatenate[Transaction, ...], T], *args: Any, **kwargs: Any
    ) -> "Future[T]":
        if self._writer is not None:
            return self._writer.submit(function, args, kwargs)
        return self._threads.submit(self._write_postgresql, function, args, kwargs)

    def _read(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        with self.engine.connect() as connection, connection.begin() as transaction:
            try:
                return function(Transaction(connection, clock.now(), memory=self.memory), *args, **kwargs)
            finally:
                transaction.rollback()

    def _write_postgresql(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        for tries_left in reversed(range(RACE_RETRIES)):
            try:
                with self.engine.begin() as connection:
                    tx = Transaction(connection, clock.now(), memory=self.memory)
                    result = function(tx, *args, **kwargs)
                self.committed(tx.topics)
                return result
            except DBAPIError as error:
                if tries_left == 0 or getattr(error.orig, "sqlstate", None) not in LOST_RACE:
                    raise
        raise AssertionError("unreachable")

    def committed(self, topics: set[str]) -> None:
        """Something was committed: what is remembered of it is forgotten, and whoever waits for it wakes."""
        self.memory.forget(topics)
        self.hub.publish(topics)

    def ping(self) -> None:
        """Raise if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._threads.shutdown(wait=True)
        self.engine.dispose()


@dataclass
class _Waiting:
    function: Callable[..., Any]
    args: Any
    kwargs: Any
    future: "Future[Any]"
    result: Any = None
    topics: set[str] = field(default_factory=set)


class _Spoiled(Exception):
    """An operation failed in a transaction that it shares with others."""


class _Writer:
    """The one thread that writes to SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine.execution_options(penstock_write=True)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[..., T], args: Any, kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        self._queue.put(_Waiting(function, args, kwargs, future))
        return future

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            closing = False
            while len(group) < GROUP_SIZE:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    closing = True
                    break
                group.append(following)
            self._commit(group)
            if closing:
                return

    def _commit(self, group: list[_Waiting]) -> None:
        """Run the whole group and commit once. One that fails is rolled back alone; if the commit fails, all are told."""
        alive = [waiting for waiting in group if waiting.future.set_running_or_notify_cancel()]
        if not alive:
            return
        try:
            try:
                done = self._run_all(alive, guarded=False)
            except _Spoiled:
                done = self._run_all(alive, guarded=True)
        except BaseException as error:
            if isinstance(error, OperationalError):
                _log.exception("The database refused a commit of %d operations", len(alive))
            for waiting in alive:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
            return
        for waiting in done:
            self._database.committed(waiting.topics)
            waiting.future.set_result(waiting.result)

    def _run_all(self, group: list[_Waiting], *, guarded: bool) -> list[_Waiting]:
        """Run and commit; returns those that did not fail. The others are told here.

        Failures are rare and savepoints are not free, so a group first runs without. Raises `_Spoiled`, with nothing written
        and nobody told, if one failed and took others along: then it runs again, `guarded` by a savepoint for each.
        """
        done: list[_Waiting] = []
        with self._engine.connect() as connection, connection.begin() as transaction:
            for waiting in group:
                try:
                    with connection.begin_nested() if guarded else nullcontext():
                        tx = Transaction(connection, clock.now(), memory=self._database.memory)
                        waiting.result = waiting.function(tx, *waiting.args, **waiting.kwargs)
                        waiting.topics = tx.topics
                    done.append(waiting)
                except BaseException as error:
                    if not guarded and len(group) > 1:
                        raise _Spoiled from error
                    if not guarded:
                        transaction.rollback()
                    waiting.future.set_exception(error)
        return done
