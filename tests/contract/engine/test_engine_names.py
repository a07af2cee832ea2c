"""Names of runs that functions make, from what runs."""

import pytest

from penstock import flow, task
from penstock.errors import ConfigurationError
from penstock.model.reasons import Reason
from penstock.runtime import flow_run, task_run


def test_functions_that_name_runs_see_what_runs(accounts):
    def name_of_flow_run():
        return f"{flow_run.flow_name} of {flow_run.parameters['x']}"

    def name_of_task_run():
        return f"{task_run.task_name} of {task_run.parameters['y']} in {flow_run.name}"

    @task(task_run_name=name_of_task_run)
    def named_task(y):
        return task_run.name

    @flow(flow_run_name=name_of_flow_run)
    def named_flow(x: int):
        return flow_run.name, named_task(x + 1)

    @flow
    def outer():
        return named_flow(5)

    assert named_flow("1") == ("named-flow of 1", "named_task of 2 in named-flow of 1")
    assert outer()[0] == "named-flow of 5"
    runs = accounts.flow_runs(named_flow)
    assert [run.name for run in runs] == ["named-flow of 1", "named-flow of 5"]
    assert list(accounts.task_runs(runs[0])) == ["named_task of 2 in named-flow of 1"]


@pytest.mark.parametrize("broken", [lambda: 1 / 0, lambda: 5])
def test_a_run_that_cannot_be_named_fails_and_says_why(accounts, broken):
    ran = []

    @task(task_run_name=broken)
    def nameless_task():
        ran.append(1)

    @flow(flow_run_name=broken, retries=1)
    def nameless_flow():
        ran.append(1)

    @flow
    def around():
        assert nameless_task(return_state=True).is_failed()
        return nameless_flow(return_state=True)

    with pytest.raises(ConfigurationError, match="flow_run_name is a function that"):
        around()
    assert not ran
    run = accounts.flow_runs(nameless_flow)[-1]
    assert accounts.states(run) == ["Pending", "Failed"]
    assert run.state.state_details.reason is Reason.CONFIGURATION_INVALID


def test_runs_named_after_a_file_whose_name_is_no_text_are_told_like_all_others(accounts):
    @task(task_run_name="load {path}")
    def load(path):
        return 1

    @task
    def next_one():
        return 2

    @flow(flow_run_name="all of {path}")
    def all_of_it(path):
        return load(path) + next_one()

    assert all_of_it("b\udcfccher") == 3
    [run] = accounts.flow_runs(all_of_it)
    assert run.name == "all of b\\udcfccher"
    assert sorted(accounts.task_runs(run)) == ["load b\\udcfccher", "next_one-0"]
