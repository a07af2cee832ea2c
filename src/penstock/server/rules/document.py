"""``docs/states.md``, made from the table of transitions: ``python -m penstock.server.rules.document > docs/states.md``."""

from penstock.model.states import TERMINAL, StateType
from penstock.model.transitions import ALLOWED, NAMES, RERUN_NAME

#: What each type means to the one who reads it on a screen.
MEANINGS = {
    StateType.SCHEDULED: "waits for its time, or for an agent",
    StateType.PENDING: "an agent has it and launches it",
    StateType.RUNNING: "user code runs",
    StateType.PAUSED: "waits to be resumed",
    StateType.CANCELLING: "is being stopped; its job may still be alive",
    StateType.CANCELLED: "was stopped, and nothing of it is left",
    StateType.COMPLETED: "ended well",
    StateType.FAILED: "user code raised, or ran out of its time",
    StateType.CRASHED: "something around the code broke",
}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for before, following in ALLOWED.items():
        for after in StateType:
            if after in following:
                note = f" : {RERUN_NAME}" if before in TERMINAL else ""
                lines.append(f"    {before.value if before else '[*]'} --> {after.value}{note}")
    return "\n".join(lines)


def rows() -> str:
    """One row of a Markdown table per type."""
    lines = ["| type | names | means: the run … | may be followed by |", "|---|---|---|---|"]
    for kind in StateType:
        following = [after.value for after in StateType if after in ALLOWED[kind]]
        rerun = f" (named {RERUN_NAME})" if kind in TERMINAL else ""
        lines.append(f"| {kind.value} | {', '.join(NAMES[kind])} | {MEANINGS[kind]} | {', '.join(following)}{rerun} |")
    return "\n".join(lines)


def document() -> str:
    """The whole page."""
    final = ", ".join(kind.value for kind in StateType if kind in TERMINAL)
    return f"""# States

<!-- made by `python -m penstock.server.rules.document`; a test compares -->

Every flow run and every task run is in exactly one state. A state has a type, which the rules look at, and a name, which refines
it. {final} are final: a run leaves them only when somebody asks for another go, as SCHEDULED named {RERUN_NAME}.

{rows()}

A new run may start in any type but CANCELLING. The table is `penstock.model.transitions`; the rules that judge a proposed state are
`penstock.server.rules.flow_runs` and `penstock.server.rules.task_runs`. They answer

* ACCEPT: the proposed state was written;
* REJECT: another one was written instead (a retry, a cached result), or the run stays as it is;
* WAIT: ask again after `delay_seconds`, it is not time yet;
* ABORT: stop proposing, the run is over or somebody else has it.

`force` asks no rule and no table.

```mermaid
{diagram()}
```
"""


if __name__ == "__main__":
    print(document(), end="")
