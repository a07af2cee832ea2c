"""Why a run did not end well: where on its way it was, and a word from a closed list."""

from enum import StrEnum


class Phase(StrEnum):
    """The place on a run's way at which something happened."""

    CLAIM = "claim"  #: an agent takes the run
    RENDER = "render"  #: its configuration becomes a request
    IMAGE = "image"  #: the platform fetches the image
    SCHEDULE = "schedule"  #: the platform looks for room
    START = "start"  #: the job starts
    CODE = "code"  #: the engine fetches the flow's code
    IMPORT = "import"  #: the engine imports it
    PARAMETERS = "parameters"  #: the parameters are checked against the flow
    RUN = "run"  #: user code runs
    REPORT = "report"  #: the final state travels home


class Reason(StrEnum):
    """The closed list. `docs/reasons.md` has what each means and what to do."""

    # before anything was started
    AGENT_LOST = "AgentLost"
    CONFIGURATION_INVALID = "ConfigurationInvalid"
    INFRASTRUCTURE_UNAVAILABLE = "InfrastructureUnavailable"
    NOT_PERMITTED = "NotPermitted"
    THROTTLED = "Throttled"
    NO_CAPACITY = "NoCapacity"
    # on its way up
    START_FAILED = "StartFailed"
    START_TIMEOUT = "StartTimeout"
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_NOT_PERMITTED = "ImageNotPermitted"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    COMMAND_NOT_FOUND = "CommandNotFound"
    # the user's code
    CODE_NOT_FOUND = "CodeNotFound"
    IMPORT_FAILED = "ImportFailed"
    FLOW_NOT_FOUND = "FlowNotFound"
    PARAMETERS_INVALID = "ParametersInvalid"
    USER_CODE_RAISED = "UserCodeRaised"
    FLOW_TIMED_OUT = "FlowTimedOut"
    TASK_TIMED_OUT = "TaskTimedOut"
    RESULT_NOT_WRITTEN = "ResultNotWritten"
    PAUSE_EXPIRED = "PauseExpired"
    # while it ran
    EXITED = "Exited"
    SIGNALLED = "Signalled"
    OUT_OF_MEMORY = "OutOfMemory"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    HOST_REBOOTED = "HostRebooted"
    DELETED = "Deleted"
    LOST = "Lost"
    WORKER_LOST = "WorkerLost"
    RUN_TIMEOUT = "RunTimeout"
    API_LOST = "ApiLost"
    # on purpose
    CANCELLED = "Cancelled"
    CANCEL_FORCED = "CancelForced"
    SUPERSEDED = "Superseded"
    SKIPPED = "Skipped"
    UNKNOWN = "Unknown"


#: Reasons for which a new launch may well succeed: they spend the infrastructure's retry budget, never the user's.
INFRASTRUCTURE_RETRIABLE = frozenset(
    {
        Reason.AGENT_LOST,
        Reason.INFRASTRUCTURE_UNAVAILABLE,
        Reason.THROTTLED,
        Reason.NO_CAPACITY,
        Reason.START_FAILED,
        Reason.IMAGE_PULL_FAILED,
        Reason.EVICTED,
        Reason.PREEMPTED,
        Reason.NODE_LOST,
        Reason.HOST_REBOOTED,
    }
)
