"""``python -m penstock.infrastructure.process.launcher HOME ENGINE``: starts the launcher of that home, and returns at
once.

If there is one already, the new one leaves quietly: however many agents start one at the same time, one stays. It is a
child of nobody's and has a session of its own, so that it survives the agent that started it.
"""

import os
import sys
import traceback
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Fork, and be the launcher in the child. The parent has nothing to wait for."""
    home, engine = Path(arguments[0]), arguments[1]
    if os.fork() != 0:
        return 0
    # After the fork, because it takes its time and whoever started us waits for the parent only.
    from penstock.infrastructure.process import service

    code = 1
    try:
        code = service.run(home, engine)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing here needs an interpreter to be taken apart in good order


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
