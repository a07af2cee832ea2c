"""What is wrong with a flow or task is said where it is written, not when it runs."""

import asyncio
import functools

import pytest

from penstock import Flow, Task, flow, task
from penstock.errors import ConfigurationError
from penstock.task_runners import ConcurrentTaskRunner, SequentialTaskRunner
from penstock.tasks import exponential_backoff


def test_a_flow_knows_its_function():
    @flow
    def load_all_users(day: str) -> int:
        """Loads them.

        All of them.
        """
        return len(day)

    assert isinstance(load_all_users, Flow)
    assert (load_all_users.name, load_all_users.__name__) == ("load-all-users", "load_all_users")
    assert load_all_users.description == "Loads them.\n\nAll of them."
    assert load_all_users.fn("abc") == 3
    assert len(load_all_users.version) == 32
    assert not load_all_users.isasync


def test_a_task_keeps_its_functions_name():
    @task
    def load_users(): ...

    assert isinstance(load_users, Task)
    assert load_users.name == "load_users"
    assert load_users.task_key.endswith("test_a_task_keeps_its_functions_name.<locals>.load_users")


def test_async_functions_are_recognised_through_what_wraps_them():
    async def fetch(a): ...

    class Caller:
        async def __call__(self): ...

    class Methods:
        async def method(self): ...

    for fn in (fetch, functools.partial(fetch, 1), Caller(), Methods().method):
        assert task(name="t")(fn).isasync
    assert not task(lambda: asyncio.sleep(0)).isasync


@pytest.mark.parametrize("decorator", [flow, task])
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"retry": 1}, TypeError, "Did you mean 'retries'"),
        ({"cache_key": None}, TypeError, "has no option 'cache_key'"),
        ({"name": "a/b"}, ConfigurationError, "contains /"),
        ({"name": " "}, ConfigurationError, "is empty"),
        ({"retries": -1}, ConfigurationError, "retries is -1"),
        ({"retries": "3"}, ConfigurationError, "retries is '3'"),
        ({"retry_delay_seconds": "soon"}, ConfigurationError, "retry_delay_seconds"),
        ({"timeout_seconds": -2}, ConfigurationError, "may not be negative"),
    ],
)
def test_a_wrong_option_is_refused_where_it_is_written(decorator, options, error, words):
    with pytest.raises(error, match=words):

        @decorator(**options)
        def fn(): ...


def test_only_functions_can_be_decorated():
    with pytest.raises(TypeError, match="must decorate a function"):
        flow("main")
    with pytest.raises(TypeError, match="decorated once"):
        task(task(print))


def test_tags_are_a_list_of_texts():
    with pytest.raises(ConfigurationError, match="must be a list"):
        task(tags="nightly")(print)


def test_options_can_be_changed_one_by_one():
    @task(retries=3, tags=["a"], retry_delay_seconds=exponential_backoff(2))
    def fetch(): ...

    other = fetch.with_options(name="other", retries=1)
    assert (other.name, other.retries, other.tags, other.fn) == ("other", 1, {"a"}, fetch.fn)
    assert other.retry_delay_seconds(3) == [2, 4, 8]
    assert (fetch.name, fetch.retries) == ("fetch", 3)
    with pytest.raises(TypeError):
        fetch.with_options(retires=1)


def test_each_run_gets_a_task_runner_of_its_own():
    @flow
    def plain(): ...

    assert isinstance(plain.new_task_runner(), ConcurrentTaskRunner)
    assert isinstance(plain.with_options(task_runner=SequentialTaskRunner).new_task_runner(), SequentialTaskRunner)
    given = ConcurrentTaskRunner(max_workers=3)
    made = plain.with_options(task_runner=given).new_task_runner()
    assert made is not given
    assert made.max_workers == 3
    with pytest.raises(ValueError, match="at least 1"):
        ConcurrentTaskRunner(max_workers=0)


def test_parameters_can_be_checked_without_running():
    @flow
    def report(day: int, *, full: bool = False): ...

    assert report.validate_parameters({"day": "3"}) == {"day": 3, "full": False}
