"""Whatever is combined: what is executed, recorded, called and returned is what a small pure model says."""

import asyncio
import inspect
import threading
import time
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from plans_of_runs import Happened, Model, Plan, Step, plans

from penstock import flow, task
from penstock.engine import task_runs
from penstock.engine.steps import Invoke
from penstock.task_runners import ConcurrentTaskRunner, SequentialTaskRunner


class Played:
    """A plan turned into flows and tasks, and what happened when they were run."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.id = plan, uuid4().hex
        self.happened = Happened()
        self._lock = threading.Lock()
        runner = SequentialTaskRunner() if plan.sequential else ConcurrentTaskRunner()
        self.main = self._flow("main", plan.retries, self._body, task_runner=runner)
        self.subflows = {}
        self.entries = [self._entry(index, step) for index, step in enumerate(plan.steps)]

    def _flow(self, name, retries, body, **options):
        hooks = {
            f"on_{event}": [lambda *_, event=event: self._hook(name.rstrip("0123456789"), event)]
            for event in ("running", "completion", "failure")
        }
        function = body if self.plan.async_flows else lambda: at_once(body())
        return flow(name=f"{name}-{self.id}", flow_run_name=name, retries=retries, **hooks, **options)(function)

    def _task(self, name, body, overruns=lambda element=0: False, **options):
        function = body if self.plan.async_tasks else lambda element=0: at_once(body(element))
        function.__qualname__ = name
        function.overruns = overruns
        return task(name=name, **options)(function)

    def _hook(self, what, event):
        with self._lock:
            self.happened.hooks[what, event] += 1

    def _entry(self, index: int, step: Step):
        """What the main flow calls for this step."""

        async def work(element: int = 0):
            label = f"{index}.{element}"
            with self._lock:
                self.happened.executions[label] += 1
                number = self.happened.executions[label]
            if number <= step.fails and not step.slow:
                raise ValueError(label)
            while number <= step.fails:
                await asyncio.sleep(0.002) if self.plan.async_tasks else time.sleep(0.002)
            return label

        async def call_inner(element: int = 0):
            return await settled(inner(element))

        inner = self._task(
            f"step{index}",
            work,
            lambda element=0: self.happened.executions[f"{index}.{element}"] < step.fails,
            retries=step.retries,
            timeout_seconds=0.05 if step.slow else None,
            cache_key_fn=(lambda *_: f"{self.id}-{step.key}") if step.key else None,
            on_completion=[lambda *_: self._hook("step", "completion")],
            on_failure=[lambda *_: self._hook("step", "failure")],
        )
        if step.kind == "nested":
            return self._task(f"outer{index}", call_inner)
        if step.kind == "subflow":
            self.subflows[index] = self._flow(f"sub{index}", step.sub_retries, call_inner)
            return self.subflows[index]
        return inner

    async def _body(self):
        waiting, before, completed = [], None, []
        for index, (step, entry) in enumerate(zip(self.plan.steps, self.entries, strict=True)):
            wait_for = before if step.after and step.has_futures else None
            if step.mode == "call":
                states = [await settled(entry(return_state=True))]
                before = None
            else:
                futures = (
                    entry.map(range(2), wait_for=wait_for) if step.mode == "map" else [entry.submit(wait_for=wait_for)]
                )
                before = futures
                waiting.append((index, futures))
                states = [await settled(future.wait()) for future in futures] if self.plan.strict or step.key else []
            if step.mode == "call":
                waiting.append((index, states))
            if self.plan.strict:
                [state.result() for state in states]
        for index, ends in waiting:
            for element, end in enumerate(ends):
                state = end if hasattr(end, "is_completed") else await settled(end.wait())
                completed += [f"{index}.{element}"] if state.is_completed() else []
        return completed if self.plan.returns else None

    def play(self, accounts) -> Happened:
        state = asyncio.run(self.main(return_state=True)) if self.plan.async_flows else self.main(return_state=True)
        self.happened.result = state.result() if state.is_completed() else "raised"
        self._account(accounts, "main", accounts.flow_run(self.main))
        for index, subflow in self.subflows.items():
            for number, run in enumerate(accounts.flow_runs(subflow)):
                self._account(accounts, f"sub{index}-{number}", run)
        return self.happened

    def _account(self, accounts, name, run):
        self.happened.runs[name, ""] = accounts.states(run)
        for task_run in accounts.task_runs(run).values():
            states = accounts.task_states(task_run)
            self.happened.runs[name, task_run.name.replace(f"-{self.id}", "")] = states


class Punctual(Invoke):
    """A timeout is for what overruns it for certain: what a busy machine has kept waiting shall not overrun it as well."""

    __slots__ = ()

    def __init__(self, fn, args, kwargs, *, isasync, timeout):
        if timeout is not None and not fn.overruns(*args, **kwargs):
            timeout = 200.0
        super().__init__(fn, args, kwargs, isasync=isasync, timeout=timeout)


@pytest.fixture(autouse=True, scope="module")
def _punctual():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runs, "Invoke", Punctual)
        yield


async def settled(value):
    """What is to be awaited is awaited."""
    return await value if inspect.isawaitable(value) else value


def at_once(coroutine):
    """The result of a coroutine that has nothing to await: the same code serves synchronous functions."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("something had to be awaited")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans)
def test_what_happens_is_what_the_model_says(accounts, plan):
    played = Played(plan).play(accounts)
    expected = Model(plan).run()
    assert played.result == expected.result
    assert played.executions == expected.executions
    assert played.runs == expected.runs
    assert played.hooks == +expected.hooks
