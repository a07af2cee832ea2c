"""``python -m penstock.notifier``: sends the messages that stand on stdin, one `DeliveryOrder` a line.

Each is answered on stdout by a line, a `DeliveryOutcome`, in the order in which they end. When stdin ends, because the server
is stopping, what is under way has a few seconds left; none when the server is gone, because the next one tries again. Nothing
listens here, and nothing is asked of the server: who started this process has the only ends of its pipes.
"""

import os
import select
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import BinaryIO

from penstock import settings
from penstock.model.notifications import DeliveryOrder
from penstock.notifier.deliver import deliver

#: Messages that are sent at once.
THREADS = 8
#: Seconds that are left to messages under way when the server stops.
GRACE = 3.0
#: Milliseconds within which the kernel has closed both pipes of a server that was killed.
_CLOSING = 50


def main() -> None:
    """Does not return: threads that hang in somebody's service keep nobody."""
    answers = _answers()
    lock = threading.Lock()
    references = settings.get("PENSTOCK_NOTIFICATIONS_REFERENCES")

    def work(line: bytes) -> None:
        outcome = deliver(DeliveryOrder.model_validate_json(line), references=references)
        with lock, suppress(OSError):  # the server is gone: whoever comes after it tries again
            answers.write(outcome.model_dump_json().encode() + b"\n")
            answers.flush()

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="notifier")
    under_way: set[Future[None]] = set()
    for line in sys.stdin.buffer:
        under_way = {future for future in under_way if not future.done()}
        under_way.add(pool.submit(work, line))
    if not _is_closed(answers):
        wait(under_way, timeout=GRACE)
    os._exit(0)


def _is_closed(answers: BinaryIO) -> bool:
    """Whether nobody reads the answers any more."""
    poll = select.poll()
    poll.register(answers, 0)  # that the other end is closed is told in any case
    return bool(poll.poll(_CLOSING))


def _answers() -> BinaryIO:
    """What was stdout. From here on that is stderr: a block that prints shall not disturb the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    main()
