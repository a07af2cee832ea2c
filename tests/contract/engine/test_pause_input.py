"""A pause may wait for typed input, which the server checks before the run goes on."""

import json
import threading
from typing import Any

import pytest
from paused_flows import InThread, paused_run

from penstock import flow, pause_flow_run, resume_flow_run
from penstock.client import flow_run_inputs
from penstock.engine.run_inputs import model_for
from penstock.errors import ConfigurationError, FlowRunWaitTimeout, ParameterError
from penstock.flow_runs import wait_for_flow_run
from penstock.input import RunInput, keyset_from_paused_state, receive_input, send_input
from penstock.model.states import StateType
from penstock.testing import wait_until


class Approval(RunInput):
    approved: bool
    comment: str = "none"


def test_a_flow_gets_what_whoever_resumes_it_gives(accounts):
    @flow
    def asks():
        return pause_flow_run(wait_for_input=Approval, timeout=600)

    running = InThread(asks)
    run = paused_run(accounts, asks)
    resume_flow_run(run.id, run_input={"approved": True})
    found = running.result()
    assert (found.approved, found.comment) == (True, "none")
    assert isinstance(found, Approval)
    assert found.metadata.key == "paused-1-response"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "approved is missing"),
        ({"approved": "perhaps"}, "approved"),
        ({"aproved": True}, "Did you mean 'approved'"),
        ({"approved": True, "comment": 3}, "comment"),
    ],
)
def test_input_that_does_not_fit_is_refused_and_the_run_stays_paused(accounts, shared_question, given, named):
    run = shared_question
    with pytest.raises(ParameterError, match=named):
        resume_flow_run(run.id, run_input=given)
    assert accounts.client.read_flow_run(run.id).state_type is StateType.PAUSED


@pytest.fixture(scope="module")
def shared_question(accounts):
    @flow
    def asks_for_long():
        return pause_flow_run(wait_for_input=Approval, timeout=600)

    running = InThread(asks_for_long)
    run = paused_run(accounts, asks_for_long)
    yield run
    resume_flow_run(run.id, run_input={"approved": True})
    running.result()


def test_the_question_can_be_read_by_anybody(accounts):
    @flow
    def asks_kindly():
        wanted = Approval.with_initial_data(description="# Shall it go on?", comment="fine")
        return pause_flow_run(wait_for_input=wanted, timeout=600)

    running = InThread(asks_kindly)
    run = paused_run(accounts, asks_kindly)
    keyset = run.state.state_details.run_input_keyset
    assert keyset == keyset_from_paused_state(run.state)
    read = lambda name: accounts.client.send(flow_run_inputs.read_flow_run_input(run.id, keyset[name]))  # noqa: E731
    assert read("description") == "# Shall it go on?"
    schema = json.loads(read("schema"))
    assert schema["properties"]["comment"]["default"] == "fine"
    resume_flow_run(run.id, run_input={"approved": False})
    found = running.result()
    assert (found.approved, found.comment) == (False, "fine")


@pytest.mark.parametrize(("wanted", "given"), [(int, 3), (str, "x"), (list[int], [1, 2]), (bool, False)])
def test_plain_types_are_given_as_a_value(accounts, wanted, given):
    @flow(name=f"asks for {getattr(wanted, '__name__', wanted)} {type(given).__name__}")
    def asks_for_value():
        return pause_flow_run(wait_for_input=wanted, timeout=600)

    running = InThread(asks_for_value)
    run = paused_run(accounts, asks_for_value)
    with pytest.raises(ParameterError, match="value"):
        resume_flow_run(run.id, run_input={"value": {"no": "such"}})
    resume_flow_run(run.id, run_input={"value": given})
    assert running.result() == given


def test_an_answer_is_the_same_when_the_run_is_tried_again(accounts):
    answers: list[Any] = []

    @flow(retries=1)
    def asks_once():
        answers.append(pause_flow_run(wait_for_input=int, timeout=600))
        if len(answers) == 1:
            raise ValueError("the first try fails")

    running = InThread(lambda: asks_once(return_state=True))
    run = paused_run(accounts, asks_once)
    resume_flow_run(run.id, run_input={"value": 7})
    assert running.result().is_completed()
    assert answers == [7, 7]


def test_a_field_that_there_is_not_is_refused_where_it_is_written():
    with pytest.raises(ConfigurationError, match="Did you mean 'comment'"):
        Approval.with_initial_data(coment="x")
    with pytest.raises(ConfigurationError, match="must be a type"):
        model_for("text")


def test_runs_send_each_other_inputs_and_answers(accounts):
    class Question(RunInput):
        number: int

    class Reply(RunInput):
        double: int

    @flow
    def answering():
        asked = Question.receive(timeout=120).next()
        asked.respond(Reply(double=2 * asked.number))
        return asked.metadata.sender

    @flow
    def asking(receiver):
        Question(number=21).send_to(receiver)
        return Reply.receive(timeout=120).next().double

    running = InThread(answering)
    run = wait_until(lambda: (found := accounts.flow_runs(answering)) and found[0], 60, "it runs")
    assert asking(run.id) == 42
    sender = accounts.flow_run(asking)
    assert running.result() == f"penstock.flow-run.{sender.id}"


def test_plain_inputs_arrive_in_order_and_the_wait_for_more_ends(accounts):
    sent = threading.Event()

    @flow
    def gets_numbers():
        patient, hasty = receive_input(int, timeout=120), receive_input(int, timeout=0.5)
        first = patient.next()
        assert sent.wait(120)
        return [first, *hasty], list(receive_input(str, timeout=0))

    running = InThread(gets_numbers)
    run = wait_until(lambda: (found := accounts.flow_runs(gets_numbers)) and found[0], 60, "it runs")
    for number in (1, 2, 3):
        send_input(number, run.id)
    sent.set()
    assert running.result() == ([1, 1, 2, 3], [])
    assert wait_for_flow_run(run.id, timeout=60, client=accounts.client).state.is_completed()


def test_whoever_waits_for_a_run_gets_it_when_it_is_over_and_not_for_ever(accounts):
    import asyncio

    @flow
    def long_one():
        pause_flow_run(timeout=600)

    running = InThread(long_one)
    run = paused_run(accounts, long_one)
    with pytest.raises(FlowRunWaitTimeout, match=r"is Paused after 0\.2 s"):
        wait_for_flow_run(run.id, timeout=0.2)
    waiting = InThread(lambda: asyncio.run(awaited(run.id)))
    resume_flow_run(run.id)
    assert waiting.result().state.is_completed()
    running.result()


async def awaited(run_id: Any) -> Any:
    return await wait_for_flow_run(run_id, timeout=120)
