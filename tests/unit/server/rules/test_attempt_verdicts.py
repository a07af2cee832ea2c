"""Every end of an attempt in every state of its run: what becomes of the run."""

import signal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.attempts import AttemptStatus, Exit
from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Phase, Reason
from penstock.model.states import TERMINAL, StateType
from penstock.model.transitions import RERUN_NAME, is_allowed
from penstock.server.rules.attempts import (
    MOST_AGENT_LOSSES,
    Ending,
    RetryBudget,
    RunFacts,
    ending_of_exit,
    is_retriable,
    phase_of,
    retry_delay,
    verdict,
)

RUN = UUID("12345678123456781234567812345678")
CODE_ERRORS = [
    Reason.CODE_NOT_FOUND,
    Reason.IMPORT_FAILED,
    Reason.FLOW_NOT_FOUND,
    Reason.PARAMETERS_INVALID,
    Reason.USER_CODE_RAISED,
    Reason.FLOW_TIMED_OUT,
]
LIVE = sorted(set(StateType) - TERMINAL)
budgets = st.builds(RetryBudget, retries=st.integers(0, 5), delay=st.floats(0, 60))


def ending(reason: Reason) -> Ending:
    return Ending(reason, Phase.START, f"It ended: {reason}.")


def facts(state: StateType, **values: object) -> RunFacts:
    return RunFacts(id=RUN, state_type=state, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_run_that_is_over_stays_as_it_is(state: StateType, reason: Reason) -> None:
    assert verdict(ending(reason), facts(state), started=True, budget=RetryBudget()).action == "nothing"


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("failures", [0, 3])
def test_a_verdict_never_leaves_the_table_of_states(
    state: StateType, reason: Reason, started: bool, failures: int
) -> None:
    found = verdict(ending(reason), facts(state, infra_failures=failures), started=started, budget=RetryBudget())
    if found.state_type is not None:
        assert is_allowed(state, found.state_type, RERUN_NAME if found.spends else None)
    if found.action == "nothing":
        assert state is StateType.SCHEDULED, "only a run that is scheduled anyway may be left without a verdict"


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("reason", CODE_ERRORS)
def test_errors_of_code_are_never_launched_again(reason: Reason, started: bool) -> None:
    assert not is_retriable(reason, started)


@pytest.mark.parametrize("reason", sorted(INFRASTRUCTURE_RETRIABLE - {Reason.HOST_REBOOTED, Reason.AGENT_LOST}))
@pytest.mark.parametrize("state", [StateType.PENDING, StateType.RUNNING])
def test_reasons_of_infrastructure_spend_the_budget_and_then_crash(state: StateType, reason: Reason) -> None:
    budget = RetryBudget(retries=2, delay=4)
    for failures in (0, 1):
        found = verdict(ending(reason), facts(state, infra_failures=failures), started=True, budget=budget)
        assert (found.action, found.spends) == ("reschedule", True)
        assert 4 * 2**failures <= found.delay <= 5 * 2**failures
    found = verdict(ending(reason), facts(state, infra_failures=2), started=True, budget=budget)
    assert found.state_type is StateType.CRASHED
    assert "3 times" in (found.message or "")


def test_a_reboot_is_launched_again_only_if_no_user_code_had_started() -> None:
    assert is_retriable(Reason.HOST_REBOOTED, started=False)
    assert not is_retriable(Reason.HOST_REBOOTED, started=True)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_run_that_is_being_cancelled_is_cancelled_whatever_the_end(reason: Reason) -> None:
    found = verdict(ending(reason), facts(StateType.CANCELLING), started=True, budget=RetryBudget())
    assert found.state_type is StateType.CANCELLED


def test_a_lost_agent_costs_nothing_until_it_has_happened_too_often() -> None:
    lost = ending(Reason.AGENT_LOST)
    first = verdict(lost, facts(StateType.PENDING, agent_losses=1), started=False, budget=RetryBudget(retries=0))
    assert (first.action, first.spends, first.delay) == ("reschedule", False, 0)
    last = facts(StateType.PENDING, agent_losses=MOST_AGENT_LOSSES)
    assert verdict(lost, last, started=False, budget=RetryBudget()).state_type is StateType.CRASHED


def test_a_paused_run_that_left_its_process_on_purpose_stays_paused() -> None:
    exited = ending(Reason.EXITED)
    suspended = facts(StateType.PAUSED, pause_reschedule=True)
    assert verdict(exited, suspended, started=True, budget=RetryBudget()).action == "nothing"
    waiting = facts(StateType.PAUSED)
    assert verdict(exited, waiting, started=True, budget=RetryBudget()).state_type is StateType.CRASHED


@pytest.mark.parametrize(
    ("exited", "started", "reason"),
    [
        (Exit(code=0), True, Reason.EXITED),
        (Exit(code=0), False, Reason.EXITED),
        (Exit(code=1), True, Reason.EXITED),
        (Exit(code=1), False, Reason.START_FAILED),
        (Exit(code=1, reason=Reason.EXITED), False, Reason.START_FAILED),
        (Exit(code=127), False, Reason.COMMAND_NOT_FOUND),
        (Exit(code=127), True, Reason.EXITED),
        (Exit(code=69), False, Reason.API_LOST),
        (Exit(code=69), True, Reason.API_LOST),
        (Exit(code=143), True, Reason.SIGNALLED),
        (Exit(code=143, reason=Reason.EXITED), False, Reason.SIGNALLED),
        (Exit(signal=9), True, Reason.SIGNALLED),
        (Exit(signal=9), False, Reason.SIGNALLED),
        (Exit(code=137, signal=9, oom=True), True, Reason.OUT_OF_MEMORY),
        (Exit(code=1, reason=Reason.EVICTED), True, Reason.EVICTED),
        (Exit(), True, Reason.UNKNOWN),
    ],
)
def test_an_exit_means_one_reason(exited: Exit, started: bool, reason: Reason) -> None:
    assert ending_of_exit(exited, started=started, phase=Phase.RUN).reason is reason


SAID = "penstock: EXTRA_PIP_PACKAGES: nope cannot be installed, so nothing was started: No matching distribution found"


def test_packages_that_there_are_not_are_told_in_the_words_of_pip_and_not_launched_again() -> None:
    tail = f"+ python -m pip install nope\nERROR: No matching distribution found\n{SAID}\n"
    exited = Exit(code=65, reason=Reason.EXITED, message="The container exited with code 65.")
    found = ending_of_exit(exited, started=False, phase=Phase.START, output_tail=tail)
    assert not is_retriable(found.reason, started=False)
    assert found.message == (
        "EXTRA_PIP_PACKAGES: nope cannot be installed, so nothing was started: No matching distribution found. "
        "The platform says: The container exited with code 65."
    )
    assert "EXTRA_PIP_PACKAGES" in found.advice


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/python3: Error while finding module specification for 'penstock.engine' (ModuleNotFoundError: No module "
        "named 'penstock')",
        "/usr/local/bin/python: No module named penstock",
    ],
)
def test_an_image_without_penstock_is_named_as_that_and_not_launched_again(line: str) -> None:
    found = ending_of_exit(Exit(code=1), started=False, phase=Phase.START, output_tail=f"{line}\n")
    assert found.reason is Reason.COMMAND_NOT_FOUND
    assert not is_retriable(found.reason, started=False)
    assert line in found.message
    assert "image" in found.advice


@pytest.mark.parametrize(
    ("exited", "started", "tail"),
    [
        (Exit(code=1), False, "ModuleNotFoundError: No module named 'penstock'"),  # raised by some code of the user's
        (Exit(code=1), False, "python: No module named penstock.engine\nand it went on"),
        (Exit(code=1), False, SAID),  # as images of older versions end
        (Exit(code=65), False, ""),
        (Exit(code=65), False, f"{SAID}\nsomething else went wrong"),
        (Exit(code=65), True, SAID),
        (Exit(code=65, oom=True, reason=Reason.OUT_OF_MEMORY), False, SAID),
    ],
)
def test_nothing_else_is_taken_for_such_a_proof(exited: Exit, started: bool, tail: str) -> None:
    found = ending_of_exit(exited, started=started, phase=Phase.START, output_tail=tail)
    assert found.reason is ending_of_exit(exited, started=started, phase=Phase.START).reason
    assert found.reason not in {Reason.CONFIGURATION_INVALID, Reason.COMMAND_NOT_FOUND}


@pytest.mark.parametrize(
    ("exited", "reason"),
    [
        (Exit(code=143, reason=Reason.EXITED), Reason.SIGNALLED),
        (Exit(code=137, signal=9), Reason.SIGNALLED),
        (Exit(), Reason.SIGNALLED),
        (Exit(code=143, reason=Reason.EVICTED), Reason.EVICTED),
        (Exit(reason=Reason.DELETED), Reason.DELETED),
        (Exit(code=137, oom=True), Reason.OUT_OF_MEMORY),
    ],
)
def test_why_a_process_was_told_to_end_its_platform_knows_best(exited: Exit, reason: Reason) -> None:
    assert ending_of_exit(exited, started=True, phase=Phase.RUN, told_to_end=True).reason is reason


def test_a_signal_is_told_by_name_and_number_and_the_platform_in_its_own_words() -> None:
    found = ending_of_exit(Exit(signal=signal.SIGKILL, message="Killed by oom"), started=True, phase=Phase.RUN)
    assert found.message == ("The flow's process was killed by SIGKILL (signal 9). The platform says: Killed by oom")
    odd = ending_of_exit(Exit(signal=250), started=True, phase=Phase.RUN)
    assert "signal 250" in odd.message
    assert found.advice


def test_of_a_job_that_was_stopped_before_it_ran_no_process_is_told() -> None:
    never = Exit(message="It was stopped before its container ran: 0/1 nodes are available.")
    found = ending_of_exit(never, started=False, phase=Phase.SCHEDULE, stop_reason=Reason.CANCELLED)
    assert found.message == f"The run was cancelled and its job stopped. The platform says: {never.message}"


def test_what_we_stopped_ourselves_is_not_blamed_on_the_signal() -> None:
    for reason in (Reason.START_TIMEOUT, Reason.RUN_TIMEOUT, Reason.CANCELLED):
        found = ending_of_exit(Exit(signal=15), started=True, phase=Phase.RUN, stop_reason=reason)
        assert found.reason is reason
        assert "SIGTERM" in found.message


@pytest.mark.parametrize(
    ("status", "run", "phase"),
    [
        (AttemptStatus.CLAIMED, StateType.PENDING, Phase.CLAIM),
        (AttemptStatus.LAUNCHING, StateType.PENDING, Phase.IMAGE),
        (AttemptStatus.RUNNING, StateType.PENDING, Phase.IMPORT),
        (AttemptStatus.RUNNING, StateType.RUNNING, Phase.RUN),
    ],
)
def test_the_phase_follows_from_how_far_it_came(status: AttemptStatus, run: StateType, phase: Phase) -> None:
    assert phase_of(status, run, Phase.IMAGE) is phase


@given(st.uuids(), st.integers(0, 30), st.integers(1, 50), st.floats(0.01, 60))
def test_delays_double_stay_bounded_and_can_be_told_again(run: UUID, failures: int, number: int, first: float) -> None:
    delay = retry_delay(first, failures, run, number)
    assert delay == retry_delay(first, failures, run, number)
    least = min(first * 2.0**failures, 300.0)
    assert least <= delay <= least * 1.25


@given(st.sampled_from(list(Reason)), st.booleans(), st.integers(0, 9), budgets)
def test_the_budget_is_never_overdrawn(reason: Reason, started: bool, failures: int, budget: RetryBudget) -> None:
    run = RunFacts(id=uuid4(), state_type=StateType.PENDING, infra_failures=failures)
    found = verdict(ending(reason), run, started=started, budget=budget)
    assert not (found.spends and failures >= budget.retries)


def test_a_run_that_an_agent_gave_back_untouched_waits_for_another_and_spends_nothing() -> None:
    given_back = Ending(Reason.INFRASTRUCTURE_UNAVAILABLE, Phase.CLAIM, "The engine does not answer.")
    spent = RunFacts(id=uuid4(), state_type=StateType.PENDING, infra_failures=9)
    found = verdict(given_back, spent, started=False, budget=RetryBudget(retries=0))
    assert (found.action, found.state_type, found.spends) == ("reschedule", StateType.SCHEDULED, False)
    assert found.message is not None
    assert found.message.startswith("The engine does not answer. Nothing was started")
    again = [
        verdict(given_back, spent, started=False, budget=RetryBudget(), number=number).delay for number in (1, 2, 99)
    ]
    assert again == [5.0, 10.0, 300.0]
    cancelled = RunFacts(id=uuid4(), state_type=StateType.CANCELLING)
    assert verdict(given_back, cancelled, started=False, budget=RetryBudget()).state_type is StateType.CANCELLED
