"""Exit codes: a closed list, the same for every command."""

OK = 0
FAILURE = 1
USAGE = 2
NOT_FOUND = 3
NOT_AUTHORIZED = 4
UNREACHABLE = 5
CONFLICT = 6
CHECK_FAILED = 7
TIMED_OUT = 8
RUN_FAILED = 10
RUN_CRASHED = 11
RUN_CANCELLED = 12
INTERRUPTED = 130

MEANINGS = {
    OK: "It worked.",
    FAILURE: "It did not work, for another reason than those below.",
    USAGE: "The command line or a setting is wrong; nothing was done.",
    NOT_FOUND: "There is no such object.",
    NOT_AUTHORIZED: "The server wants a key, or the key may not do this.",
    UNREACHABLE: "The server does not answer.",
    CONFLICT: "The name is taken, or the object is in a state that does not allow this.",
    CHECK_FAILED: "A check found something wrong, or a diff something that would change.",
    TIMED_OUT: "The time that was given is over; the run that was waited for goes on.",
    RUN_FAILED: "The run that was followed ended as Failed.",
    RUN_CRASHED: "The run that was followed ended as Crashed.",
    RUN_CANCELLED: "The run that was followed ended as Cancelled.",
    INTERRUPTED: "Interrupted by Ctrl-C; a run that was followed goes on.",
}

#: State type of a run that is over -> exit code of the command that followed it.
OF_STATE = {"COMPLETED": OK, "FAILED": RUN_FAILED, "CRASHED": RUN_CRASHED, "CANCELLED": RUN_CANCELLED}
