"""Random flows as data, and the pure model of what must happen when one is run."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st


@dataclass(frozen=True)
class Step:
    """One task of the flow. `fails`: so many of its first executions fail, by an exception or, `slow`, by its timeout.

    `kind`: called by the flow, by another task, or by a subflow, which is tried again `sub_retries` times. `key`: its
    cache key. `after`: it waits for the step before.
    """

    kind: Literal["task", "nested", "subflow"]
    mode: Literal["call", "submit", "map"]
    fails: int
    slow: bool
    retries: int
    key: str | None
    after: bool
    sub_retries: int

    @property
    def elements(self) -> int:
        return 2 if self.mode == "map" else 1

    @property
    def has_futures(self) -> bool:
        return self.mode != "call"


@dataclass(frozen=True)
class Plan:
    """`strict`: the flow ends with the first failure; else it goes on. `returns`: a value, whatever has failed.

    `async_flows`, `async_tasks`: whether all flows, all tasks are asynchronous. What happens does not depend on it.
    """

    steps: tuple[Step, ...]
    async_flows: bool
    async_tasks: bool
    retries: int
    sequential: bool
    strict: bool
    returns: bool


@dataclass
class Happened:
    """What is to be compared. `runs`: (flow run, task run) -> its states. `executions`: step and element -> number."""

    executions: Counter[str] = field(default_factory=Counter)
    runs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    hooks: Counter[tuple[str, str]] = field(default_factory=Counter)
    result: Any = None


def _step(kind: Any, mode: Any, fails: int, slow: bool, retries: int, key: Any, after: bool, sub_retries: int) -> Step:
    """One that has only one possible outcome: what shares a key is not run at once, subflows are called."""
    if kind == "subflow" or (key is not None and mode == "map"):
        mode = "call"
    return Step(kind, mode, fails, slow and fails > 0, retries, key, after, sub_retries)


steps = st.builds(
    _step,
    kind=st.sampled_from(["task", "task", "nested", "subflow"]),
    mode=st.sampled_from(["call", "submit", "map"]),
    fails=st.sampled_from([0, 0, 1, 2, 3]),
    slow=st.sampled_from([False, False, False, True]),
    retries=st.integers(0, 2),
    key=st.sampled_from([None, None, "a", "b"]),
    after=st.booleans(),
    sub_retries=st.integers(0, 1),
)
plans = st.builds(
    Plan,
    steps=st.lists(steps, min_size=1, max_size=4).map(tuple),
    async_flows=st.booleans(),
    async_tasks=st.booleans(),
    retries=st.integers(0, 2),
    sequential=st.booleans(),
    strict=st.booleans(),
    returns=st.booleans(),
)


class Model:
    """What must happen. One instance for one run of the outermost flow."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.happened = Happened()
        self._cached: set[str] = set()
        self._completed: set[tuple[str, str]] = set()
        self._run_counts: Counter[tuple[str, str]] = Counter()
        self._subflows: Counter[int] = Counter()

    def run(self) -> Happened:
        self._flow("main", self.plan.retries, self._main_try)
        return self.happened

    def _flow(self, name: str, retries: int, one_try: Any) -> bool:
        states = self.happened.runs[name, ""] = ["Pending"]
        hooked = "main" if name == "main" else "sub"
        for number in range(retries + 1):
            states.append("Retrying" if number else "Running")
            self.happened.hooks[hooked, "running"] += 1
            if one_try():
                states.append("Completed")
                self.happened.hooks[hooked, "completion"] += 1
                return True
            states.append("AwaitingRetry" if number < retries else "Failed")
        self.happened.hooks[hooked, "failure"] += 1
        return False

    def _main_try(self) -> bool:
        completed: list[str] = []
        before: tuple[Step, bool] | None = None
        for index, step in enumerate(self.plan.steps):
            blocked = bool(step.after and before and before[0].has_futures and step.has_futures and not before[1])
            ended = [self._element(index, element, step, blocked) for element in range(step.elements)]
            completed += [f"{index}.{element}" for element, well in enumerate(ended) if well]
            before = step, all(ended)
            if self.plan.strict and not all(ended):
                self.happened.result = "raised"
                return False
        everything = sum(step.elements for step in self.plan.steps)
        self.happened.result = completed if self.plan.returns else None
        if not self.plan.returns and len(completed) < everything:
            self.happened.result = "raised"
            return False
        return True

    def _element(self, index: int, element: int, step: Step, blocked: bool) -> bool:
        label = f"{index}.{element}"
        if step.kind == "task":
            return self._task("main", f"step{index}-{element}", label, step, blocked)
        if step.kind == "nested":
            return self._placed(
                f"outer{index}-{element}",
                blocked,
                "Retrying",
                lambda: self._task("main", f"step{index}-{element}.0", label, step, False),
            )
        return self._placed(f"sub{index}-0", False, "Running", lambda: self._subflow(index, label, step))

    def _subflow(self, index: int, label: str, step: Step) -> bool:
        name = f"sub{index}-{self._subflows[index]}"
        self._subflows[index] += 1
        return self._flow(name, step.sub_retries, lambda: self._task(name, f"step{index}-0", label, step, False))

    def _placed(self, name: str, blocked: bool, again: str, inside: Any) -> bool:
        """A task run of the main flow whose outcome is that of what is inside of it."""
        place = ("main", name)
        if place in self._completed:
            return True
        states = self._begin(place)
        if blocked:
            states.append("UpstreamFailed")
            return False
        states.append(again if self._run_counts[place] else "Running")
        self._run_counts[place] += 1
        well: bool = inside()
        states.append("Completed" if well else "Failed")
        if well:
            self._completed.add(place)
        return well

    def _begin(self, place: tuple[str, str]) -> list[str]:
        states = self.happened.runs.setdefault(place, [])
        states.append("AwaitingRetry" if states else "Pending")
        return states

    def _task(self, flow_run: str, name: str, label: str, step: Step, blocked: bool) -> bool:
        place = (flow_run, name)
        if place in self._completed:
            return True
        states = self._begin(place)
        if blocked:
            states.append("UpstreamFailed")
            return False
        well = step.key in self._cached
        if well:
            states.append("Cached")
        else:
            well = self._tries(place, states, label, step)
        if states[-1] != "Cached":
            self.happened.hooks["step", "completion" if well else "failure"] += 1
        if well:
            self._completed.add(place)
            if step.key is not None:
                self._cached.add(step.key)
        return well

    def _tries(self, place: tuple[str, str], states: list[str], label: str, step: Step) -> bool:
        for number in range(step.retries + 1):
            states.append("Retrying" if self._run_counts[place] else "Running")
            self._run_counts[place] += 1
            self.happened.executions[label] += 1
            if self.happened.executions[label] > step.fails:
                states.append("Completed")
                return True
            states.append("AwaitingRetry" if number < step.retries else "TimedOut" if step.slow else "Failed")
        return False
