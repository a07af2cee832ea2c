"""Where a process waits for slots of concurrency limits: one request for all that wait, however many these are."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

from penstock.client import concurrency_limits
from penstock.client.call import Call
from penstock.client.transport import Interrupted, Ticket
from penstock.clock import monotonic
from penstock.engine.slot_leases import Client, Leases
from penstock.engine.steps import Blocking, Steps, Until
from penstock.errors import APIError, PenstockError
from penstock.model.concurrency_limits import LONGEST_WAIT, SlotAnswer, SlotRequest, SlotWish

#: Seconds in which further wishes join a request that is about to be sent.
LINGER = 0.02
#: Seconds between two looks of whoever waits at whether it is to stop.
LOOK_UP = 1.0
#: Seconds to wait after a request has failed.
AFTER_FAILURE = 0.5
#: Seconds that giving slots back may take, at most.
RELEASE_SECONDS = 10.0


class SlotsDenied(PenstockError):
    """The server says that no waiting can help."""

    code = "slots_denied"


class SlotsTimeout(PenstockError):
    """The slots were not free in time."""

    code = "slots_timeout"


class Waiter:
    """One wish that waits at the desk. Settled when the server has decided, or when it is to be asked directly."""

    def __init__(self, wish: SlotWish) -> None:
        self.wish = wish
        self.settled = False
        self.answer: SlotAnswer | None = None
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def when_settled(self, wake: Callable[[], None]) -> None:
        """Call `wake` once it is settled: at once if it is so now. Only the last one that is given is called."""
        with self._lock:
            if not self.settled:
                self._wake = wake
                return
        wake()

    def settle(self, answer: SlotAnswer | None) -> None:
        with self._lock:
            self.settled, self.answer, wake = True, answer, self._wake
        if wake is not None:
            wake()


class Desk:
    """`ask` sends a request and waits for the API as long as that may be away; `client` sends those that can be given up.

    What is got here is bound to the run `flow_run_id`, and `leased` or not: within a run its reports renew that. With
    `renews`, it is bound to no run, and this process renews it.
    """

    def __init__(
        self,
        client: Client,
        ask: Callable[[Call[SlotAnswer]], SlotAnswer],
        *,
        flow_run_id: UUID | None = None,
        leased: bool = True,
        renews: bool = False,
    ) -> None:
        self.client = client
        self.leases = Leases(client) if renews else None
        self._bound: dict[str, Any] = {"flow_run_id": None if renews else flow_run_id, "leased": leased or renews}
        self._ask = ask
        self._changed = threading.Condition(threading.Lock())
        self._waiters: dict[UUID, Waiter] = {}
        self._unwanted: set[UUID] = set()
        self._ticket: Ticket | None = None
        self._thread: threading.Thread | None = None

    def wish(self, holder_id: UUID, **wanted: Any) -> SlotWish:
        """A wish of this process; `wanted`: the fields of `SlotWish` that say of what and how much."""
        return SlotWish(holder_id=holder_id, **self._bound, **wanted)

    def hold(self, wish: SlotWish, answer: SlotAnswer) -> None:
        """The wish was granted: see to it that the slots are kept until `give_back`."""
        if self.leases is not None:
            self.leases.keep(wish.holder_id, ", ".join([*wish.tags, *wish.names]), answer.lease_seconds)

    def give_back(self, holder_id: UUID) -> None:
        """Give back what the holder has. If the API does not answer soon, that is done when it does."""
        if self.leases is not None:
            self.leases.drop(holder_id)
        try:
            self.client.send(concurrency_limits.release_slots([holder_id]), deadline=monotonic() + RELEASE_SECONDS)
        except APIError:
            self.withdraw(holder_id)

    def ask(self, wish: SlotWish) -> SlotAnswer:
        """What the server says now. Who gets nothing has a place in the line, for some seconds."""
        return self._ask(concurrency_limits.acquire_slots(SlotRequest(wishes=[wish])))

    def is_crowded(self, wish: SlotWish) -> bool:
        """Whether somebody waits here for the same limits: asking for them now would bring nothing."""
        with self._changed:
            return any(_same_limits(waiter.wish, wish) for waiter in self._waiters.values())

    def join(self, wish: SlotWish) -> Waiter:
        """Wait for the wish to be fulfilled."""
        waiter = Waiter(wish)
        with self._changed:
            self._waiters[wish.holder_id] = waiter
            self._work()
        return waiter

    def withdraw(self, holder_id: UUID) -> None:
        """The holder wants no slots any more: what it has got is given back, soon."""
        with self._changed:
            self._waiters.pop(holder_id, None)
            self._unwanted.add(holder_id)
            self._work()

    def _work(self) -> None:
        """Have the thread look at what changed. The lock is held."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="penstock-slots", daemon=True)
            self._thread.start()
        elif self._ticket is not None:
            self._ticket.give_up()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        others_come = True
        while True:
            with self._changed:
                if not self._waiters and not self._unwanted:
                    self._thread = None
                    return
                if others_come:
                    self._changed.wait(LINGER)
                unwanted, waiters = self._unwanted, dict(list(self._waiters.items())[:1000])
                self._unwanted = set()
                ticket = self._ticket = Ticket()
            try:
                if unwanted:
                    self._release(unwanted)
                others_come = bool(waiters) and not self._wait(waiters, ticket)
            finally:
                with self._changed:
                    self._ticket = None

    def _release(self, holders: set[UUID]) -> None:
        try:
            self.client.send(concurrency_limits.release_slots(holders), deadline=monotonic() + RELEASE_SECONDS)
        except APIError as error:
            if error.status is None:
                with self._changed:
                    self._unwanted |= holders
                    self._changed.wait(AFTER_FAILURE)

    def _wait(self, waiters: dict[UUID, Waiter], ticket: Ticket) -> bool:
        """Settle those that the server decides. False: the request was given up, because others have joined."""
        request = SlotRequest(wishes=[waiter.wish for waiter in waiters.values()], wait_seconds=LONGEST_WAIT)
        answer: SlotAnswer | None
        try:
            answer = self.client.send(concurrency_limits.acquire_slots(request), ticket=ticket)
            decided = [*answer.granted, *(denial.holder_id for denial in answer.denied)]
        except Interrupted:
            return False
        except Exception:
            # Whoever waits asks by itself: that waits for the API as long as it takes, and tells what is wrong.
            answer, decided = None, list(waiters)
        with self._changed:
            settled = [waiters[holder] for holder in decided if self._waiters.get(holder) is waiters.get(holder)]
            for waiter in settled:
                self._waiters.pop(waiter.wish.holder_id, None)
        for waiter in settled:
            waiter.settle(answer)
        return True


def acquire(
    desk: Desk,
    wish: SlotWish,
    *,
    timeout: float | None = None,
    check: Callable[[], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Steps[SlotAnswer]:
    """Wait until the wish is granted, at most `timeout` seconds.

    `check` is called now and then while waiting, and may raise; `on_wait` once, if it comes to that. Raises SlotsDenied and
    SlotsTimeout. However this ends other than well, nothing stays taken.
    """
    deadline = None if timeout is None else monotonic() + timeout
    try:
        while True:
            if not desk.is_crowded(wish):
                answer: SlotAnswer = yield Blocking(lambda: desk.ask(wish))
                if _is_granted(wish, answer):
                    return answer
            if on_wait is not None:
                on_wait()
                on_wait = None
            waiter = desk.join(wish)
            while not waiter.settled:
                left = LOOK_UP if deadline is None else min(LOOK_UP, deadline - monotonic())
                if left <= 0:
                    raise SlotsTimeout(f"The slots were not free within {timeout:g} s")
                yield Until(waiter.when_settled, timeout=left)
                if check is not None:
                    check()
            if waiter.answer is not None and _is_granted(wish, waiter.answer):
                return waiter.answer
    except BaseException:
        desk.withdraw(wish.holder_id)
        raise


def _same_limits(one: SlotWish, other: SlotWish) -> bool:
    return one.tags == other.tags and one.names == other.names


def _is_granted(wish: SlotWish, answer: SlotAnswer) -> bool:
    for denial in answer.denied:
        if denial.holder_id == wish.holder_id:
            raise SlotsDenied(denial.message)
    return wish.holder_id in answer.granted
