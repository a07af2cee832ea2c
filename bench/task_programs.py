"""Programs that measure themselves and print ``name value`` lines: thousands of tasks in one flow."""

#: CPU seconds of one task over calling its function, everything of the process counted: states, reports, their thread.
COST = """
import sys, time
from {package} import flow, task

def bare(i):
    return i

noop = task(bare)

@flow
def submitted(n):
    for future in [noop.submit(i) for i in range(n)]:
        future.result()

@flow
def in_sequence(n):
    for i in range(n):
        noop(i)

@flow
def nothing():
    return 1

if __name__ == "__main__":
    mode, n = sys.argv[1], int(sys.argv[2])
    run = {{"submitted": submitted, "sequence": in_sequence}}[mode]
    run(20)
    start = time.process_time()
    nothing()
    empty = time.process_time() - start
    start = time.process_time()
    for i in range(n):
        bare(i)
    called = time.process_time() - start
    start = time.process_time()
    run(n)
    print("cpu_ms", (time.process_time() - start - empty - called) / n * 1000)
"""

#: Resident bytes that a task which has ended leaves behind while its flow goes on.
GROWTH = """
import gc, os, sys, time
from {package} import flow, task

@task
def noop(i):
    return i

def resident():
    time.sleep(4)  # until the reports of what has ended have left
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

@flow
def growing(mode, n):
    def some(count):
        if mode == "sequence":
            for i in range(count):
                noop(i)
        else:
            for first in range(0, count, 1000):
                for future in [noop.submit(i) for i in range(first, min(count, first + 1000))]:
                    future.result()

    some(2000)
    before = resident()
    some(n)
    print("bytes", (resident() - before) / n)
    return 1

if __name__ == "__main__":
    growing(sys.argv[1], int(sys.argv[2]))
"""

#: Wall seconds of a map of asynchronous tasks that each sleep one second.
MAPPING = """
import asyncio, sys, time
from {package} import flow, task

@task
async def sleeping(i):
    await asyncio.sleep(1)
    return i

@flow
async def in_async_flow(n):
    start = time.perf_counter()
    futures = sleeping.map(range(n))
    total = sum([await future.result() for future in futures])
    print("seconds", time.perf_counter() - start)
    return total

@flow
def in_sync_flow(n):
    start = time.perf_counter()
    total = sum(future.result() for future in sleeping.map(range(n)))
    print("seconds", time.perf_counter() - start)
    return total

if __name__ == "__main__":
    mode, n = sys.argv[1], int(sys.argv[2])
    total = asyncio.run(in_async_flow(n)) if mode == "async" else in_sync_flow(n)
    assert total == n * (n - 1) // 2
"""
