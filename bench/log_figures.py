"""What it costs a run that its lines are sent to the server."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import peer as peers
from bench.measure import Figure, environment
from penstock import testing

#: Writes lines and nothing else: the dearest case. What is measured is the call of the flow, final flush included.
TALKATIVE = """
import sys, time
from {package} import flow, get_run_logger

@flow
def talkative(n):
    logger = get_run_logger()
    for i in range(n):
        logger.info("line %d of many that this run writes", i)

@flow
def warm_up():
    get_run_logger().info("warm")

if __name__ == "__main__":
    warm_up()
    start, cpu = time.perf_counter(), time.process_time()
    talkative(int(sys.argv[1]))
    print(time.perf_counter() - start, time.process_time() - cpu)
"""


def logs(peer: peers.Peer | None, *, lines: int = 100_000, rounds: int = 5, **_: Any) -> Iterator[Figure]:
    """The same flow with its lines sent to the server, and only shown: in turns, the best of each."""
    with tempfile.TemporaryDirectory() as folder, testing.server() as server:
        program = Path(folder) / "talkative.py"
        program.write_text(TALKATIVE.format(package="penstock"))
        took: dict[str, list[tuple[float, float]]] = {"true": [], "false": []}
        for _round in range(rounds):
            for to_api, found in took.items():
                env = {**server.env, "PENSTOCK_LOGGING_TO_API": to_api}
                found.append(_measure([sys.executable, str(program), str(lines)], env, f"{folder}/shown.txt"))
        with server.client() as client:
            run = client.read_flow_runs(flow_filter={"name": {"any_": ["talkative"]}}, sort="START_TIME_DESC", limit=1)
            assert run[0].state_name == "Completed"
        (sent, sent_cpu), (shown, shown_cpu) = (tuple(map(min, zip(*took[word], strict=True))) for word in took)
    ratio = sent / shown
    what = f"{lines:,} lines: wall, sent to the server"
    yield Figure(what, sent, "s", "<= 1.33 x", ratio <= 1.33, ratio, "only shown")
    yield Figure(
        f"{lines:,} lines: CPU of the run for each",
        sent_cpu / lines * 1e6,
        "us",
        "",
        None,
        sent_cpu / shown_cpu,
        "only shown",
    )


def _measure(command: list[str], env: Mapping[str, str], shown: str) -> tuple[float, float]:
    with open(shown, "w") as file:
        done = subprocess.run(command, env=environment(env), stdout=subprocess.PIPE, stderr=file, text=True, check=True)
    wall, cpu = map(float, done.stdout.split()[-2:])
    return wall, cpu


FIGURES = {"logs": logs}
