"""What each reason means and what to do about it. `docs/reasons.md` is `document()`; a test keeps the two equal."""

from penstock.model.reasons import INFRASTRUCTURE_RETRIABLE, Phase, Reason

#: reason -> what it means, what to do next
REASONS: dict[Reason, tuple[str, str]] = {
    Reason.AGENT_LOST: (
        "The agent that had taken the run stopped answering before it started anything.",
        "Look at the agent's log and host. The run was handed to another agent, or waits for one.",
    ),
    Reason.CONFIGURATION_INVALID: (
        "The infrastructure's configuration, with the deployment's overrides, cannot be turned into a job.",
        "Correct the setting that the message names, then run again.",
    ),
    Reason.INFRASTRUCTURE_UNAVAILABLE: (
        "The platform did not answer, or answered with an error of its own.",
        "Check that the platform is up and that the agent can reach it.",
    ),
    Reason.NOT_PERMITTED: (
        "The platform refused the agent's credentials, or they lack a permission.",
        "Grant the permission that the message names to the agent's account.",
    ),
    Reason.THROTTLED: (
        "The platform asked to be called less often.",
        "Start fewer runs at once (a concurrency limit on the work queue), or ask for a higher quota.",
    ),
    Reason.NO_CAPACITY: (
        "The platform has no room for the job, or a quota is used up.",
        "Ask for less CPU or memory, raise the quota, or wait until other jobs have ended.",
    ),
    Reason.START_FAILED: (
        "The job was accepted but ended before the flow's process had reported in.",
        "Read the last output of the attempt. Most often the command, the image or the environment is wrong, or it "
        "cannot reach the API.",
    ),
    Reason.START_TIMEOUT: (
        "The start limit passed before the flow's process reported in.",
        "See what the job was waiting for. If it needs that long, raise the start limit of the infrastructure.",
    ),
    Reason.IMAGE_NOT_FOUND: (
        "There is no such image or tag.",
        "Correct the image's name or tag, or push it.",
    ),
    Reason.IMAGE_NOT_PERMITTED: (
        "The registry refused to hand out the image.",
        "Give the platform credentials for the registry.",
    ),
    Reason.IMAGE_PULL_FAILED: (
        "Fetching the image failed on the way.",
        "If it goes on, check the registry and the network of the node.",
    ),
    Reason.COMMAND_NOT_FOUND: (
        "The command does not exist where the job runs, or cannot be executed.",
        "Check the command and that Penstock is installed in the image or environment.",
    ),
    Reason.CODE_NOT_FOUND: (
        "The flow's code is not where the deployment says.",
        "Check path, entrypoint and storage of the deployment; they are read where the job runs.",
    ),
    Reason.IMPORT_FAILED: (
        "Importing the flow's code raised.",
        "The traceback is in the run's logs. A missing package must be installed where the job runs.",
    ),
    Reason.FLOW_NOT_FOUND: (
        "The code was imported but has no such flow.",
        "Correct the name after the colon in the deployment's entrypoint.",
    ),
    Reason.PARAMETERS_INVALID: (
        "The run's parameters do not fit the flow.",
        "Correct the parameters that the message names.",
    ),
    Reason.USER_CODE_RAISED: (
        "The flow's own code raised an exception.",
        "The traceback is in the run's logs.",
    ),
    Reason.FLOW_TIMED_OUT: (
        "The flow took longer than its timeout_seconds.",
        "Raise timeout_seconds, or make the flow faster.",
    ),
    Reason.TASK_TIMED_OUT: (
        "A task took longer than its timeout_seconds.",
        "Raise the task's timeout_seconds, or make it faster.",
    ),
    Reason.RESULT_NOT_WRITTEN: (
        "The function returned, but its result could not be written to its storage.",
        "Return what the serializer can write, choose another one, or set persist_result=False; if the storage refused, "
        "see to that.",
    ),
    Reason.PAUSE_EXPIRED: (
        "The run was paused or suspended, and nobody resumed it before the pause's timeout.",
        "Run it again and resume it in time, or give the pause a longer timeout.",
    ),
    Reason.EXITED: (
        "The flow's process ended by itself without reporting a final state.",
        "Look at the last output of the attempt, and for os._exit or a native library that ends the process.",
    ),
    Reason.SIGNALLED: (
        "The flow's process was ended by a signal from outside.",
        "Find who sent it: an operator, a supervisor, or the kernel's memory killer (see the kernel log).",
    ),
    Reason.OUT_OF_MEMORY: (
        "The job used more memory than it may.",
        "Raise the memory of the infrastructure, or hold less data at once.",
    ),
    Reason.EVICTED: (
        "The platform removed the job from its node.",
        "Ask for the resources that the job really uses, or give it a higher priority.",
    ),
    Reason.PREEMPTED: (
        "The platform took the job's place away for something more important, or a spot machine went.",
        "Nothing, if it is rare. Otherwise use machines that are not reclaimed.",
    ),
    Reason.NODE_LOST: (
        "The machine that the job ran on is gone.",
        "Check the node or the host.",
    ),
    Reason.HOST_REBOOTED: (
        "The host was rebooted, or its container engine restarted, while the job was there.",
        "Run it again. User code may have run in part.",
    ),
    Reason.DELETED: (
        "The job was deleted by somebody else than Penstock.",
        "Find who removes jobs on the platform: an operator, a clean-up rule, a short time to live.",
    ),
    Reason.LOST: (
        "Nobody has heard of the job for too long: no agent that could look after it, and no word of the job itself.",
        "Start an agent that can see the platform. The job's token was revoked, so it cannot go on.",
    ),
    Reason.WORKER_LOST: (
        "The worker of a Dask or Ray cluster that ran the task is gone: killed, out of memory, or its node is.",
        "Look at the worker's log and memory. With retries, the task would have been run again on another worker.",
    ),
    Reason.RUN_TIMEOUT: (
        "The run limit of the infrastructure passed; the job was stopped.",
        "Raise the run limit, or make the flow faster.",
    ),
    Reason.API_LOST: (
        "The job could not reach the API for too long.",
        "Check that the API's address is right as seen from where the job runs, and that the network lets it through.",
    ),
    Reason.CANCELLED: (
        "Somebody cancelled the run, and its job is confirmed gone.",
        "Nothing; run it again if that was a mistake.",
    ),
    Reason.CANCEL_FORCED: (
        "The run was cancelled, but nobody could confirm in time that its job is gone. Its token was revoked.",
        "Check the platform for the job that the message names.",
    ),
    Reason.SUPERSEDED: (
        "The attempt lingered on after its run was over, or was replaced.",
        "Nothing; its token was revoked and the job stopped.",
    ),
    Reason.SKIPPED: (
        "The time of its schedule was missed, and the schedule's catch-up policy is not to make up for it.",
        "Nothing; let the schedule have the policy `all` if every time has to run.",
    ),
    Reason.UNKNOWN: (
        "The platform did not say why.",
        "Read the platform's message and the last output of the attempt.",
    ),
}


def hint(reason: Reason) -> str:
    """One next step for whoever reads of a failure for this reason."""
    return REASONS[reason][1]


def document() -> str:
    """The page `docs/reasons.md`."""
    lines = [
        "# Reasons",
        "",
        "A run that did not end well carries a phase, the place on its way at which it happened, and a reason from",
        "this closed list. *Launched again* marks the reasons of infrastructure: such a launch is repeated, up to",
        "`PENSTOCK_INFRA_RETRIES` times, on a budget of its own. `HostRebooted` counts only before user code started.",
        "",
        "| reason | what happened | what to do | launched again |",
        "|---|---|---|---|",
    ]
    for reason in Reason:
        meaning, step = REASONS[reason]
        lines.append(f"| `{reason}` | {meaning} | {step} | {'yes' if reason in INFRASTRUCTURE_RETRIABLE else ''} |")
    lines += ["", "Phases, in order: " + ", ".join(f"`{phase}`" for phase in Phase) + ".", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(document(), end="")
