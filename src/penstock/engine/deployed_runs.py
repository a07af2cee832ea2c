"""A run that somebody else made: its code is fetched and imported, its parameters are checked, then it runs.

Whatever fails on the way fails the run, with phase, reason and hint; the traceback goes to its log.
"""

import logging
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.client import flow_runs, task_runs
from penstock.engine import code, keeping, outcomes, parameters
from penstock.engine.context import EarlierTaskRun
from penstock.engine.endings import stopped_flow
from penstock.engine.flow_calls import checked, context_of, policy_of, run_name
from penstock.engine.flow_runs import flow_run_steps, retries_of, tell_last
from penstock.engine.interruption import Superseded
from penstock.engine.protocols import FlowLike
from penstock.engine.run_logs import configure, report_line
from penstock.engine.session import Session
from penstock.engine.steps import Blocking, Steps
from penstock.engine.storage_lines import storages_tell
from penstock.engine.tracebacks import users_part
from penstock.errors import CodeError, ParameterError, PenstockError
from penstock.model.attempts import InfrastructureDocument
from penstock.model.deployments import Deployment
from penstock.model.flow_runs import FlowRun, FlowRunUpdate
from penstock.model.reasons import Phase, Reason
from penstock.model.states import State

_REASONS = {
    code.NOT_FOUND: (Phase.CODE, Reason.CODE_NOT_FOUND),
    code.IMPORT_FAILED: (Phase.IMPORT, Reason.IMPORT_FAILED),
    code.NO_SUCH_FLOW: (Phase.IMPORT, Reason.FLOW_NOT_FOUND),
}
#: So many task runs of earlier tries are read at once.
PAGE = 200


@dataclass(frozen=True)
class Prepared:
    """A run whose code is there: `steps` run it, in an event loop if `isasync`."""

    isasync: bool
    steps: Steps[State]


def deployed_run_steps(
    session: Session, flow_run: FlowRun, deployment: Deployment | None, storage: InfrastructureDocument | None
) -> Steps[Prepared | State]:
    """Prepare the run. Returns how to go on, or the final state if it failed before it could start."""
    try:
        configure()
        with storages_tell(session, flow_run):
            flow = load_flow(deployment, storage)
        given = parameters.from_names(flow.signature, flow_run.parameters, f"flow '{flow.name}'")
        arguments = checked(flow, given)
        update = update_for(flow, flow_run, arguments)
    except PenstockError as error:
        return (yield from _failed(session, flow_run, error))
    except Superseded:
        raise
    except BaseException as error:
        stopped_by = error
        yield Blocking(lambda: tell_last(session, flow_run.id, stopped_flow(session, stopped_by)))
        raise
    if update is not None:
        yield Blocking(lambda: session.ask(flow_runs.update_flow_run(flow_run.id, update)))
        flow_run.name = update.name or flow_run.name
    run = context_of(flow, flow_run, session, arguments)
    if flow_run.run_count:
        run.earlier = yield Blocking(lambda: _earlier(session, flow_run))
    return Prepared(flow.isasync, flow_run_steps(run, parameters.as_call(flow.signature, arguments)))


def load_flow(deployment: Deployment | None, storage: InfrastructureDocument | None) -> FlowLike:
    """The deployment's flow, imported from where its code lies. Raises CodeError."""
    if deployment is None or not deployment.entrypoint:
        raise CodeError(
            "The run has no deployment with an entrypoint, so nobody knows where its code is",
            code=code.NOT_FOUND,
            hint="Run flows without a deployment by calling them: python flow.py",
        )
    if storage is not None:
        fetch(storage, deployment.path)
    elif deployment.path:
        enter(deployment.path)
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    flow: FlowLike = code.load_flow_from_entrypoint(deployment.entrypoint)
    return flow


def fetch(storage: InfrastructureDocument, path: str | None) -> None:
    """Bring the code from `storage` into the current folder. Raises CodeError."""
    from penstock.blocks.reading import read_claimed
    from penstock.blocks.references import resolved

    where = f"storage block {storage.slug}/{storage.name}" if storage.name else f"storage of type {storage.slug}"
    try:
        block: Any = resolved(read_claimed(storage))
        block.get_directory(from_path=path or None, local_path=None)
    except Exception as error:
        raise CodeError(
            f"The code could not be fetched from the {where}: {outcomes.describe(error)}",
            code=code.NOT_FOUND,
            hint=getattr(error, "hint", None),
        ) from error


def enter(path: str) -> None:
    """Make the folder `path` the current one. Raises CodeError if it is not there."""
    try:
        os.chdir(Path(path).expanduser())
    except OSError as error:
        raise CodeError(
            f"The deployment's path {path!r} is no folder here: {error.strerror}",
            code=code.NOT_FOUND,
            hint="The code must lie there on the machine that runs the flow. A storage block brings it anywhere.",
        ) from error


def update_for(flow: FlowLike, flow_run: FlowRun, arguments: dict[str, Any]) -> FlowRunUpdate | None:
    """What only the flow's code knows of the run and the server has not been told; None if there is nothing."""
    changes: dict[str, Any] = {}
    name = run_name(flow, arguments)
    if name is not None and name != flow_run.name:
        changes["name"] = name
    if flow.version is not None and flow.version != flow_run.flow_version:
        changes["flow_version"] = flow.version
    if retries_of(flow):
        policy = policy_of(flow)
        known = flow_run.empirical_policy
        if (known.retries, known.retry_delay) != (policy.retries, policy.retry_delay):
            update = {"retries": policy.retries, "retry_delay": policy.retry_delay}
            changes["empirical_policy"] = known.model_copy(update=update)
    return FlowRunUpdate(**changes) if changes else None


def _failed(session: Session, flow_run: FlowRun, error: PenstockError) -> Steps[State]:
    """The run cannot start because of the user's code or parameters: it fails, and is not tried again by itself."""
    phase, reason = _place(error)
    if error.__cause__ is not None and error.code == code.IMPORT_FAILED:
        text = "".join(traceback.format_exception(*users_part(error.__cause__))).rstrip()
        report_line(session, flow_run, logging.ERROR, f"{error}\n{text}")
    else:
        report_line(session, flow_run, logging.ERROR, f"{error}" + (f"\n{error.hint}" if error.hint else ""))
    state = outcomes.failed(error, phase=phase, reason=reason)
    state.message, state.state_details.retriable = error.message, False
    yield Blocking(session.reporter.flush)
    answer = yield Blocking(lambda: session.propose(flow_run.id, state))
    found = answer.state
    return found if isinstance(found, State) and found.is_final() else state


def _place(error: PenstockError) -> tuple[Phase, Reason]:
    if isinstance(error, ParameterError):
        return Phase.PARAMETERS, Reason.PARAMETERS_INVALID
    return _REASONS.get(error.code, (Phase.PARAMETERS, Reason.CONFIGURATION_INVALID))


def _earlier(session: Session, flow_run: FlowRun) -> dict[tuple[str, str], EarlierTaskRun]:
    """What earlier tries of the run, in other processes, have called."""
    found: dict[tuple[str, str], EarlierTaskRun] = {}
    only_this = {"id": {"any_": [str(flow_run.id)]}}
    while True:
        call = task_runs.read_task_runs(flow_run_filter=only_this, sort="ID_DESC", limit=PAGE, offset=len(found))
        page = session.ask(call)
        for task_run in page:
            earlier = EarlierTaskRun(
                task_run.id, task_run.name, task_run.state_type, task_run.run_count, task_run.total_run_time
            )
            if keeping.can_be_taken_over(task_run.state):
                earlier.state = task_run.state
            found[task_run.task_key, task_run.dynamic_key] = earlier
        if len(page) < PAGE:
            return found
