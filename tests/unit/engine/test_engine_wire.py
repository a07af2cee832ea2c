"""The plain data that the engine writes is what the models of the wire accept."""

from uuid import uuid4

from penstock.engine import outcomes, wire
from penstock.engine.moments import moment
from penstock.model.logs import LogCreate
from penstock.model.reasons import Phase, Reason
from penstock.model.reports import TaskRunReport
from penstock.model.states import State, StateType


def test_a_task_runs_whole_story_is_one_report():
    task_run_id = str(uuid4())
    story = {
        "create": {"id": task_run_id, "task_key": "m.f", "dynamic_key": "0", "name": "f-0", "tags": ["a"]},
        "states": [wire.state(str(uuid4()), StateType.PENDING, moment())],
    }
    story["create"]["task_inputs"] = wire.task_inputs({"x": [uuid4()], "y": []})
    wire.merge(story, {"states": [wire.state(str(uuid4()), StateType.RUNNING, moment())], "run_count": 1})
    final = outcomes.failed(ValueError("no"))
    wire.merge(story, {"states": [wire.final_state(final, moment())], "total_run_time": 0.5})
    report = TaskRunReport.model_validate({"task_run_id": task_run_id, **story})
    assert [s.type for s in report.states] == [StateType.PENDING, StateType.RUNNING, StateType.FAILED]
    assert report.states[2].id == final.id
    assert report.states[2].state_details.reason is Reason.USER_CODE_RAISED
    assert list(report.create.task_inputs) == ["x"]


def test_results_and_exceptions_stay_in_the_process():
    done = wire.final_state(outcomes.completed(object()), moment())
    assert done["data"] == {"type": "unpersisted"}
    assert "data" not in wire.final_state(outcomes.failed(ValueError()), moment())
    assert wire.proposal(outcomes.completed(object())).data == {"type": "unpersisted"}


def test_a_proposal_keeps_its_id_so_that_asking_twice_is_asking_once():
    state = State(type=StateType.RUNNING)
    proposal = wire.proposal(state)
    assert (proposal.id, proposal.state_details.transition_id) == (state.id, state.id)


def test_a_proposal_with_what_is_no_text_in_it_can_be_sent():
    proposal = wire.proposal(State(type=StateType.FAILED, name="b\udcfccher", message="no b\udcfccher"))
    assert (proposal.name, proposal.message) == ("b\\udcfccher", "no b\\udcfccher")
    assert proposal.model_dump_json()


def test_a_proposal_says_where_and_why():
    proposal = wire.proposal(outcomes.crashed("gone", Reason.SIGNALLED))
    assert (proposal.state_details.phase, proposal.state_details.reason) == (Phase.RUN, Reason.SIGNALLED)


def test_a_log_line_is_one():
    line = wire.log_line('a"b', 20, 'say "hello\x00"\n\u20ac', "2026-01-01T00:00:00.000001Z", str(uuid4()), None)
    read = LogCreate.model_validate_json(line)
    assert (read.name, read.message) == ('a"b', 'say "hello\\x00"\n\u20ac')
    assert read.timestamp.microsecond == 1
    assert read.task_run_id is None
