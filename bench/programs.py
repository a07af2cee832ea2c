"""The programs that are measured: the same text for both systems, with the name of the package filled in."""

TRIVIAL = """
from {package} import flow

@flow
def trivial():
    return 1

if __name__ == "__main__":
    trivial()
"""

TASKS = """
import sys, time
from {package} import flow, task

@task
def noop(i):
    return i

@flow
def submitted(n):
    futures = [noop.submit(i) for i in range(n)]
    return sum(f.result() for f in futures)

@flow
def in_sequence(n):
    return sum(noop(i) for i in range(n))

@flow
def warm_up():
    return noop(0)

if __name__ == "__main__":
    mode, n = sys.argv[1], int(sys.argv[2])
    warm_up()
    start = time.perf_counter()
    assert {{"submitted": submitted, "sequence": in_sequence}}[mode](n) == n * (n - 1) // 2
    print("seconds", time.perf_counter() - start)
"""

#: Writes when its code began to run: the probe of latency and burst.
PROBE = """
import time
from pathlib import Path
from {package} import flow

@flow
def probe(path: str):
    Path(path).write_text(repr(time.time()))
"""

#: Begins, and stays until a file of that name is there.
STAYING = """
import time
from pathlib import Path
from {package} import flow

@flow
def staying(go: str):
    while not Path(go).exists():
        time.sleep(0.5)
"""
