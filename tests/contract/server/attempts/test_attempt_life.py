"""Whatever agents, engines, users and time do in whatever order, the promises about runs hold."""

import contextlib
import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import APIError
from penstock.model.attempts import Exit, Limits
from penstock.model.reasons import Reason
from penstock.model.states import TERMINAL, StateType
from penstock.server import keys

AGENTS = [uuid4(), uuid4()]
OVER = {state.value for state in TERMINAL}

agents = st.integers(0, 1)
steps = st.one_of(
    st.tuples(st.just("poll"), agents, st.booleans()),
    st.tuples(st.just("intend"), agents),
    st.tuples(st.just("handle"), agents),
    st.tuples(st.just("see"), agents, st.sampled_from(["PENDING", "RUNNING", "MISSING", "UNKNOWN"])),
    st.tuples(
        st.just("end"), agents, st.sampled_from([{"code": 0}, {"code": 1}, {"signal": 9}, {"reason": Reason.EVICTED}])
    ),
    st.tuples(st.just("fail"), agents, st.sampled_from([Reason.NO_CAPACITY, Reason.CONFIGURATION_INVALID])),
    st.tuples(st.just("gone"), agents),
    st.tuples(st.just("present"), st.integers(0, 1)),
    st.tuples(st.just("propose"), st.sampled_from([StateType.RUNNING, StateType.COMPLETED, StateType.FAILED])),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 16.0, 40.0, 130.0])),
)


class Story:
    """One run and what happens to it. After each step the promises are checked."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.run_id: UUID = world.run()
        self.instances = [uuid4(), uuid4()]
        self.presented: dict[UUID, UUID] = {}
        self.last_over: Any = None
        self.fenced: set[UUID] = set()

    def newest(self) -> Any:
        attempts = self.world.attempts(self.run_id)
        return attempts[-1] if attempts else None

    def step(self, name: str, *values: Any) -> None:
        with contextlib.suppress(APIError):  # refused, as it may be; what matters is what is true afterwards
            getattr(self, name)(*values)
        self.check()

    def poll(self, agent: int, forgets: bool) -> None:
        newest = self.newest()
        held = [newest.id] if newest is not None and not forgets else []
        self.world.poll(AGENTS[agent], attempts=held, prefetch_seconds=1)

    def intend(self, agent: int) -> None:
        if self.newest() is not None:
            self.world.intend(self.newest().id, AGENTS[agent], limits=Limits(start=60, run=300, cancel=5, grace=5))

    def _report(self, agent: int, **values: Any) -> None:
        if self.newest() is not None:
            self.world.report(self.newest().id, AGENTS[agent], **values)

    def handle(self, agent: int) -> None:
        self._report(agent, handle={"type": "process", "version": 1, "data": {}})

    def see(self, agent: int, status: str) -> None:
        self._report(agent, observation=self.world.seen(status))

    def end(self, agent: int, how: dict[str, Any]) -> None:
        self._report(agent, observation=self.world.seen("ENDED", exit=Exit(**how)))

    def fail(self, agent: int, reason: Reason) -> None:
        self._report(agent, failure=True, reason=reason)

    def gone(self, agent: int) -> None:
        self._report(agent, gone=True)

    def present(self, number: int) -> None:
        attempt = self.newest()
        if attempt is None:
            return
        self.world.present(attempt.id, self.instances[number])
        earlier = self.presented.setdefault(attempt.id, self.instances[number])
        assert earlier == self.instances[number], "two processes were let in for one attempt"

    def propose(self, kind: StateType) -> None:
        attempt = self.newest()
        if attempt is not None and attempt.id in self.presented:
            self.world.propose(self.run_id, kind, attempt=(attempt.id, keys.attempt_token(attempt.id)))

    def cancel(self) -> None:
        self.world.propose(self.run_id, StateType.CANCELLING)

    def wait(self, seconds: float) -> None:
        self.world.judge(after=seconds)

    def check(self) -> None:
        run, attempts = self.world.run_row(self.run_id), self.world.attempts(self.run_id)
        open_ones = [attempt for attempt in attempts if attempt.ended_at is None]
        assert len(open_ones) <= 1
        assert all(attempt.id == attempts[-1].id for attempt in open_ones), "only the newest may be open"
        assert run.infra_failures <= 3
        if self.last_over is not None:
            assert run.state_id == self.last_over, "a run that is over came back"
        if run.state_type in OVER:
            self.last_over = run.state_id
        ended = {attempt.id for attempt in attempts if attempt.ended_at is not None}
        assert self.fenced <= ended, "an attempt that was over came back"
        self.fenced = ended

    def everybody_leaves(self) -> None:
        """No agent and no engine says anything any more; only time passes."""
        for seconds in itertools.repeat(70.0, 14):
            self.world.judge(after=seconds)
        self.check()
        run = self.world.run_row(self.run_id)
        assert all(attempt.ended_at is not None for attempt in self.world.attempts(self.run_id))
        assert run.state_type in OVER or run.state_type == StateType.SCHEDULED, run.state_type

    def somebody_comes(self) -> None:
        """A run that waits is launched again, as soon as it is due."""
        run = self.world.run_row(self.run_id)
        if run.state_type == StateType.SCHEDULED:
            due = run.next_scheduled_start_time - self.world.time.now
            self.world.time.forward(max(due, timedelta(0)).total_seconds())
            assert [claim.flow_run.id for claim in self.world.poll(uuid4()).claims] == [self.run_id]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(story=st.lists(steps, min_size=3, max_size=25))
def test_a_run_has_one_open_attempt_never_comes_back_and_always_ends(world: Any, story: list[Any]) -> None:
    world.clear()
    one = Story(world)
    for name, *values in story:
        one.step(name, *values)
    one.everybody_leaves()
    one.somebody_comes()
