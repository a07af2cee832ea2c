"""Options of flows and tasks: what is refused, what is kept, and what the decorated function still is."""

import pickle
from datetime import timedelta

import pytest

from penstock import Flow, Task, flow, task
from penstock.errors import ConfigurationError
from penstock.filesystems import LocalFileSystem
from penstock.task_runners import SequentialTaskRunner


def hook(*_): ...


def other_hook(*_): ...


@flow(on_completion=[hook])
def a_flow(): ...


@task(on_failure=[hook])
def a_task(): ...


@pytest.mark.parametrize("decorator", [flow, task])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_failure": hook}, r"on_failure is hook; it must be a list: on_failure=\[hook\]"),
        ({"on_completion": [1]}, "on_completion has 1 in it"),
        ({"on_completion": "hook"}, "must be a list of functions"),
        ({"log_prints": "yes"}, "log_prints is 'yes'; it must be True or False"),
        ({"persist_result": 1}, "persist_result is 1; it must be True or False"),
        ({"cache_result_in_memory": "no"}, "cache_result_in_memory"),
        ({"result_storage": "results"}, "result_storage is 'results'.*'local-file-system/results'"),
        ({"result_storage": 5}, "it must be a storage block"),
        ({"result_serializer": 5}, "it must be a serializer"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds is inf"),
        ({"retries": True}, "retries is True"),
        ({"version": 2}, "version is 2; it must be a text"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_where_it_is_written(decorator, options, words):
    with pytest.raises(ConfigurationError, match=words):
        decorator(**options)(lambda: None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache_expiration": 60}, r"timedelta\(hours=1\)"),
        ({"cache_key_fn": "key"}, "cache_key_fn is 'key'; it must be a function"),
        ({"retry_condition_fn": True}, "retry_condition_fn is True; it must be a function"),
        ({"retry_delay_seconds": [1] * 51}, "lists 51 delays; 50 are the most"),
        ({"retry_delay_seconds": [1, "2"]}, "retry_delay_seconds is '2'"),
        ({"retry_jitter_factor": -1}, "retry_jitter_factor is -1"),
        ({"tags": [1]}, "tags has 1 in it"),
        ({"task_run_name": 5}, "task_run_name is 5"),
    ],
)
def test_tasks_have_options_of_their_own(options, words):
    with pytest.raises(ConfigurationError, match=words):
        task(**options)(lambda: None)


def test_a_flows_task_runner_must_be_one():
    with pytest.raises(ConfigurationError, match="it must be a task runner, such as"):
        flow(task_runner="sequential")(lambda: None)


def test_generators_and_reserved_parameters_are_refused():
    async def asynchronous():
        yield 1

    def synchronous():
        yield 1

    def waits(wait_for): ...

    for decorator in (flow, task):
        for generator in (synchronous, asynchronous):
            with pytest.raises(TypeError, match="a generator: there is a 'yield'"):
                decorator(generator)
        with pytest.raises(TypeError, match="'wait_for', which is a keyword of every call"):
            decorator(waits)


def test_options_keep_the_names_of_their_attributes():
    storage = LocalFileSystem(basepath="/tmp")
    made = task(
        cache_key_fn=hook, cache_expiration=timedelta(1), refresh_cache=True, persist_result=True, result_storage=storage,
        result_storage_key="key", result_serializer="json", cache_result_in_memory=False, retry_condition_fn=hook,
        viz_return_value=3,
    )(hook)  # fmt: skip
    assert (made.cache_key_fn, made.cache_expiration, made.refresh_cache) == (hook, timedelta(1), True)
    assert (made.persist_result, made.result_storage, made.result_storage_key) == (True, storage, "key")
    assert (made.result_serializer, made.cache_result_in_memory) == ("json", False)
    assert (made.retry_condition_fn, made.viz_return_value) == (hook, 3)
    assert not flow(validate_parameters=False)(hook).should_validate_parameters


def test_other_options_leave_those_that_are_not_given():
    made = task(retries=3, log_prints=True, timeout_seconds=5, persist_result=True, version="1")(hook)
    same = made.with_options()
    assert (same.retries, same.log_prints, same.timeout_seconds, same.version) == (3, True, 5, "1")
    for option in ("retries", "log_prints", "persist_result", "refresh_cache", "result_storage_key"):
        assert getattr(made.with_options(**{option: None}), option) is None
    assert made.with_options(timeout_seconds=None).timeout_seconds == 5
    assert made.with_options(timeout_seconds=0).timeout_seconds is None
    assert made.with_options(retry_delay_seconds=None).retry_delay_seconds == 0

    runner = SequentialTaskRunner()
    before = flow(name="n", task_runner=runner, validate_parameters=False, description="d")(hook)
    after = before.with_options(retries=1, validate_parameters=True)
    assert (after.name, after.task_runner, after.description, after.retries) == ("n", runner, "d", 1)
    assert after.should_validate_parameters
    assert not before.should_validate_parameters


def test_hooks_of_one_are_not_those_of_its_copy():
    copy = a_flow.with_options(name="copy")

    @copy.on_completion
    def added(*_): ...

    assert list(copy.on_completion) == [hook, added]
    assert list(a_flow.on_completion) == [hook]
    assert list(a_flow.with_options(on_completion=[other_hook]).on_completion) == [other_hook]
    with pytest.raises(ConfigurationError, match="a hook is a function of three arguments"):
        a_flow.on_failure("mail")


def test_hooks_stay_what_they_are_in_another_process():
    found = pickle.loads(pickle.dumps(a_task.on_failure))
    assert (list(found), found.option) == ([hook], "on_failure")


def test_subclasses_stay_what_they_are():
    class MyTask(Task): ...

    class MyFlow(Flow): ...

    class Holder:
        def method(self): ...

        task = MyTask(method)
        flow = MyFlow(method)

    assert type(Holder().task) is MyTask
    assert type(Holder().flow.with_options(name="x")) is MyFlow
