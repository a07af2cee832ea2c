"""What an agent has to be allowed in a namespace, verb by verb: one table for roles, checks and the documentation. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Permission:
    """Verbs on one resource of a namespace. `why` completes "the agent …".

    `needed`: without it no run can be carried through; otherwise what is missing only makes the agent say less.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    needed: bool = True


#: All within one namespace: nothing of this is granted for the whole cluster.
PERMISSIONS = (
    Permission("batch", "jobs", ("create",), "starts a run"),
    Permission("batch", "jobs", ("get", "list", "watch"), "sees whether its runs go on, and finds them again"),
    Permission("batch", "jobs", ("patch",), "stops a run without losing its verdict"),
    Permission("batch", "jobs", ("delete",), "removes what is left of a run"),
    Permission("", "pods", ("get", "list", "watch"), "sees what a pod waits for, and how it ended"),
    Permission("", "pods", ("delete",), "stops a run by force"),
    Permission("", "pods/log", ("get",), "reads what a run has printed"),
    Permission(
        "",
        "secrets",
        ("create", "patch"),
        "hands a run its token, and tells, when it checks, that a Secret is missing; it reads none",
    ),
    Permission("", "events", ("list",), "tells why a pod cannot start, in Kubernetes's words", needed=False),
    Permission("", "namespaces", ("get",), "tells, when it checks, that a namespace is missing", needed=False),
    Permission(
        "", "serviceaccounts", ("get",), "tells, when it checks, that a service account is missing", needed=False
    ),
    Permission("", "resourcequotas", ("list",), "tells, when it checks, that a quota leaves no room", needed=False),
)


def rules() -> list[dict[str, list[str]]]:
    """The rules of a Role that grants all of `PERMISSIONS`: one per resource."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for permission in PERMISSIONS:
        verbs.setdefault((permission.group, permission.resource), []).extend(permission.verbs)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": allowed}
        for (group, resource), allowed in verbs.items()
    ]
