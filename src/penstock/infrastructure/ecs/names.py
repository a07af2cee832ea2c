"""Names and ARNs of things at AWS. Pure."""

import re

from penstock.blocks.extras import holds_reference

_ARN = r"arn:aws[a-z-]*:"
_ROLE = re.compile(rf"{_ARN}iam::\d{{12}}:role/[\w+=,.@/-]+")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_CLUSTER = re.compile(rf"(?:{_ARN}ecs:[a-z0-9-]+:\d{{12}}:cluster/)?[A-Za-z0-9_-]{{1,255}}")
_DEFINITION = re.compile(rf"(?:{_ARN}ecs:[a-z0-9-]+:\d{{12}}:task-definition/)?[A-Za-z0-9_-]{{1,255}}(?::\d+)?")
_FAMILY = re.compile(r"[A-Za-z0-9_-]{1,255}")
_VPC = re.compile(r"vpc-(?:[0-9a-f]{8}|[0-9a-f]{17})")

#: field -> what it may look like, in words and as patterns
_FORMS: dict[str, tuple[str, tuple[re.Pattern[str], ...]]] = {
    "execution_role_arn": ("arn:aws:iam::123456789012:role/NAME, or the role's name", (_ROLE, _ROLE_NAME)),
    "task_role_arn": ("arn:aws:iam::123456789012:role/NAME, or the role's name", (_ROLE, _ROLE_NAME)),
    "cluster": ("the cluster's name (letters, digits, '-', '_') or its ARN", (_CLUSTER,)),
    "task_definition_arn": ("the task definition's ARN, or family:revision", (_DEFINITION,)),
    "family": ("up to 255 letters, digits, '-' and '_'", (_FAMILY,)),
    "vpc_id": ("vpc- and 8 or 17 hexadecimal digits", (_VPC,)),
}
NAMED = tuple(_FORMS)


def check_name(value: str, field: str) -> str:
    """`value` if it may stand in that field. Raises ValueError that says what it has to look like."""
    words, patterns = _FORMS[field]
    if holds_reference(value) or any(pattern.fullmatch(value) for pattern in patterns):
        return value
    raise ValueError(f"{field} is {value!r}; it has to be {words}.")
