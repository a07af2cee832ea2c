"""The labels by which a container of ours is found again, whoever made it. Pure."""

from penstock.infrastructure.base import Job

OWNER_LABEL = "penstock.io/owner"
ATTEMPT_LABEL = "penstock.io/attempt-id"
#: Whether what is left of it stays for people to look at: see `Driver.keeps`.
KEEP_LABEL = "penstock.io/keep"


def marks_of(job: Job, auto_remove: bool) -> dict[str, str]:
    """What every container of the job carries, whatever labels its block has."""
    return {
        OWNER_LABEL: job.owner,
        ATTEMPT_LABEL: str(job.attempt_id),
        KEEP_LABEL: "false" if auto_remove else "true",
    }
