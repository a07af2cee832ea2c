"""Writes requirements.txt, of the dependencies of Penstock with some extras, and constraints.txt, the versions that were tested.

Called with the folder of pyproject.toml and a comma-separated list of extras, in brackets or not. Installed apart from Penstock, they are not installed
again when only Penstock has changed.
"""

import re
import sys
import tomllib
from pathlib import Path


def main(source: Path, extras: str) -> None:
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    known = project["optional-dependencies"]
    wanted = [name.strip() for name in extras.strip("[] ").split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"No such extra: {', '.join(unknown)}. There are {', '.join(sorted(known))}.")
    lines = [*project["dependencies"], *(line for name in wanted for line in known[name])]
    Path("requirements.txt").write_text("\n".join(lines) + "\n")
    # without hashes: wheels that were built elsewhere have others
    locked = re.sub(r"\\\n.*--hash=\S+", "", (source / "constraints-test.txt").read_text())
    Path("constraints.txt").write_text(locked)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
