"""What a job's last line proves that ended before the flow's process had reported in: that no other launch would do better. Pure."""

import re
from dataclasses import dataclass

from penstock.model.reasons import Reason


@dataclass(frozen=True)
class Proof:
    """Why the job ended, in words, and what to do."""

    reason: Reason
    message: str
    hint: str


#: Exit code of Penstock's image for packages that cannot be installed, however often that is tried; its last line says so.
_NO_PACKAGES = 65, re.compile(r"penstock: EXTRA_PIP_PACKAGES: (?P<said>.*)")
#: What `python -m penstock.engine` ends with where Penstock is not installed: the words are Python's.
_NO_PENSTOCK = (
    1,
    re.compile(
        r".*: (No module named penstock(\.engine)?|Error while finding module specification for 'penstock\.engine' "
        r"\(ModuleNotFoundError: No module named 'penstock'\))"
    ),
)


def proof(code: int | None, output_tail: str) -> Proof | None:
    """What exit code and last line prove together; None where another launch may end otherwise."""
    last = next(iter(output_tail.rstrip().splitlines()[-1:]), "")
    if code == _NO_PACKAGES[0] and (packages := _NO_PACKAGES[1].fullmatch(last)):
        return Proof(
            Reason.CONFIGURATION_INVALID,
            f"EXTRA_PIP_PACKAGES: {packages['said']}",
            "Correct EXTRA_PIP_PACKAGES: the package's name, its version, the index that has it. An image with the packages "
            "in it needs none.",
        )
    if code == _NO_PENSTOCK[0] and _NO_PENSTOCK[1].fullmatch(last):
        return Proof(
            Reason.COMMAND_NOT_FOUND,
            f"Penstock is not installed where the job runs: {last}",
            "Use an image or an environment with Penstock in it, in the Python that `python` starts there.",
        )
    return None
