"""Makes the fake platform known: to this process, or to a program that is started through this module.

    python -m penstock.testing.fakes FOLDER MODULE [ARGUMENTS]    runs ``python -m MODULE ARGUMENTS`` with the fake
    platform

`FOLDER` holds the fake platform's jobs; who names the same folder sees the same jobs.
"""

import runpy
import sys
from pathlib import Path

from penstock.infrastructure import fake
from penstock.infrastructure.registry import Platform, register


def install(folder: Path) -> None:
    """Make the infrastructure type "fake" known in this process, with its jobs in `folder`."""
    register("fake", Platform(render=fake.render, create_driver=lambda: fake.FakeDriver(folder)))


def main(arguments: list[str]) -> None:
    """Run the module that `arguments` name, after the folder, as a program."""
    folder, module, *rest = arguments
    install(Path(folder))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
