"""Whether a deployment's code can be loaded where its runs will load it: tried as a job does it, before there is one."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from penstock import clock, settings
from penstock.blocks.extras import holds_reference
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, PenstockError
from penstock.infrastructure import registry
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.local_code import has_image
from penstock.infrastructure.process.config import DEFAULT_COMMAND, ENGINE, Process
from penstock.infrastructure.process.inheritance import inherited
from penstock.infrastructure.process.render import ProcessRequest
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.variables import API_URL, INTERNAL_PREFIX
from penstock.model.base import JSONObject
from penstock.model.findings import Finding
from penstock.sdk import block_data
from penstock.sdk.deployment_code import Located, refuse_out_of_reach

#: Seconds that fetching and importing the code may take.
PATIENCE = 120.0
#: The last lines of what the code wrote before it ended its interpreter.
_LAST_LINES = 3


class WithCode(Located, Protocol):
    """What is asked of a deployment whose code is checked; `penstock.sdk.deployments.Deployment` is one."""

    name: Any
    flow_name: str | None
    entrypoint: str | None


@dataclass(frozen=True)
class _Place:
    """Where the code is tried: the command that tries it, its environment, its folder; and that in words.

    `note`: what is otherwise there than it will be for jobs.
    """

    command: tuple[str, ...]
    env: dict[str, str]
    folder: str | None
    words: str
    note: str = ""


def check_code(
    deployment: WithCode, patience: float = PATIENCE, parameters: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Fetch and import the deployment's code in a fresh interpreter and an empty folder, as its jobs will.

    A local process is tried with its own command and environment; for other infrastructure this interpreter stands in
    for the image. Nothing runs but the import, and no run is created. Raises nothing: what went wrong is a finding that
    names the file or module.
    """
    if not deployment.entrypoint:
        return [Finding("the code", False, "the deployment has no entrypoint", "Build it anew from FILE.py:FLOW.")]
    try:
        infrastructure = registry.infrastructure_from(
            block_data.as_claimed(deployment.infrastructure), deployment.infra_overrides
        )
        refuse_out_of_reach(deployment)
        if deployment.storage is None and has_image(infrastructure):
            return [_in_image(deployment, getattr(infrastructure, "image", None))]
        place = _place_of(infrastructure, deployment)
    except PenstockError as error:
        return [Finding(_tried(deployment), False, error.message, error.hint or "")]
    return _try(deployment, place, patience, dict(parameters or {}))


def _tried(deployment: WithCode, words: str = "a fresh interpreter") -> str:
    storage = deployment.storage
    where = f" in {deployment.path}" if deployment.path else ""
    if storage is not None:
        name = storage._block_document_name if block_data.is_saved(storage) else None
        where = f" from {storage.get_block_type_slug()}" + (f"/{name}" if name else "") + where
    return f"the code {deployment.entrypoint}{where}, loaded by {words}"


def _in_image(deployment: WithCode, image: str | None) -> Finding:
    return Finding(
        f"the code {deployment.entrypoint} in the image {image or 'of the infrastructure'}",
        ok=True,
        said="not tried: only a run of the image shows whether the code is in it",
    )


def _place_of(infrastructure: Infrastructure, deployment: WithCode) -> _Place:
    """Where jobs of `infrastructure` load code, as nearly as this machine has it. Raises ConfigurationError."""
    of_jobs = settings.for_jobs()
    access = {name: str(settings.get(name)) for name in ("PENSTOCK_API_URL", "PENSTOCK_API_KEY") if settings.get(name)}
    own = (*DEFAULT_COMMAND[:-1], f"{ENGINE}.code_check")
    acting, note = _acting(infrastructure)
    if not isinstance(acting, Process):
        # what its platform wants besides, such as a way to the API, has nothing to do with the code
        env = _environment({**of_jobs, **acting.env}, access)
        return _Place(own, env, None, "a fresh interpreter of this machine", note)
    request: ProcessRequest = registry.render(acting, sample_job(access.get("PENSTOCK_API_URL", ""), of_jobs))
    env = _environment({**request.env, **dict.fromkeys(request.unset)}, access)
    # where the code is fetched it would be written into the job's folder
    folder = None if deployment.storage is not None or holds_reference(request.cwd or "") else request.cwd
    if request.argv[-2:] != ("-m", ENGINE):
        return _Place(own, env, folder, "a fresh interpreter, for the command of its own cannot be asked", note)
    command = (*request.argv[:-1], f"{ENGINE}.code_check")
    return _Place(command, env, folder, "a fresh interpreter" if command == own else " ".join(request.argv), note)


def _environment(of_job: Mapping[str, str | None], access: Mapping[str, str]) -> dict[str, str]:
    """The environment of a job, with what gives access to the server, and without the ids of a run that there is not."""
    env: dict[str, str | None] = {**inherited(os.environ), **of_job, **access}
    if not access:
        env.pop(API_URL, None)
    return {name: text for name, text in env.items() if text is not None and not name.startswith(INTERNAL_PREFIX)}


def _acting(infrastructure: Infrastructure) -> tuple[Infrastructure, str]:
    """`infrastructure` with what its references stand for. Where that is known to the agent's machine alone it is left as
    it was written, and the second text says what is missing.
    """
    try:
        return resolved(infrastructure), ""
    except ConfigurationError as error:
        return infrastructure, f" (without what is not known on this machine: {error.message})"


def _try(deployment: WithCode, place: _Place, patience: float, parameters: JSONObject) -> list[Finding]:
    tried = _tried(deployment, place.words)
    began = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="penstock-check-", ignore_cleanup_errors=True) as fresh:
        try:
            ended = subprocess.run(
                place.command,
                input=_order(deployment, parameters),
                capture_output=True,
                text=True,
                errors="replace",
                env=place.env,
                cwd=os.path.abspath(place.folder) if place.folder else fresh,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            fix = "What takes so long while the module is imported? Move it into the flow."
            return [Finding(tried, False, f"not loaded after {patience:g} seconds", fix)]
        except (OSError, ConfigurationError) as error:
            return [Finding(tried, False, str(error), "Correct command or working_dir of the infrastructure.")]
    found = _judged(tried, deployment, ended, clock.monotonic() - began)
    return [replace(finding, said=finding.said + place.note) for finding in found]


def _order(deployment: WithCode, parameters: JSONObject) -> str:
    storage = deployment.storage
    document = None
    if storage is not None:
        document = block_data.as_claimed(storage).model_dump(mode="json")
        document["name"] = storage._block_document_name if block_data.is_saved(storage) else None
    order = {"entrypoint": deployment.entrypoint, "path": deployment.path, "storage": document}
    return json.dumps({**order, "parameters": parameters}, default=str)


def _judged(
    tried: str, deployment: WithCode, ended: "subprocess.CompletedProcess[str]", seconds: float
) -> list[Finding]:
    try:
        answer: JSONObject = json.loads(ended.stdout)
    except ValueError:
        lines = [line for line in ended.stderr.splitlines() if line.strip()][-_LAST_LINES:]
        said = f"the interpreter ended with exit code {ended.returncode} before the code was loaded"
        said = f"{said}: {' / '.join(lines)}" if lines else said
        return [Finding(tried, False, said, "Import the file by hand to see why.")]
    if "error" in answer:
        return [Finding(tried, False, str(answer["error"]), answer.get("hint") or "")]
    flow, fault = str(answer["flow"]), answer["parameters"]
    if deployment.flow_name and flow != deployment.flow_name:
        said = f"the flow there is called {flow!r}, and the deployment runs {deployment.flow_name!r}"
        return [Finding(tried, False, said, "Build the deployment anew.")]
    found = [Finding(tried, True, f"the flow {flow!r} loaded within {seconds:.1f} s")]
    if fault is not None:
        found.append(Finding("the parameters, held against the flow", False, str(fault), "Correct the parameter."))
    return found
