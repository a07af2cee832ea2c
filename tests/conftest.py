"""What holds for all tests."""

import importlib
import os
import pkgutil
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes, to be drawn or to be run, tells how busy the machine is and nothing of the code: a stall of
# 0.2 s would be called unreliable.
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: Files of tests that are begun before all others, in their order, each behind the seconds that it took.
LONGEST = Path(__file__).with_name("longest.txt")


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore Ctrl-C, and so would every program that they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart() -> None:
    # pytest rewrites our modules where they are imported, since there is a plugin of ours; Python 3.11 can fail to parse in
    # two threads at once ("AST constructor recursion depth mismatch"), and threads of flows are where the engine comes in.
    import penstock.engine

    for module in pkgutil.iter_modules(penstock.engine.__path__, "penstock.engine."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first: a process that begins one when the others have nothing left keeps all waiting."""
    names = [line.split()[1] for line in LONGEST.read_text().splitlines() if not line.startswith("#")]
    order = {f"tests/{name}": number for number, name in enumerate(names)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))
    _give_time_to_wait(items)


def _give_time_to_wait(items: list[pytest.Item]) -> None:
    """Tests on Kubernetes wait for it where it is still being built, and for those who have it for themselves a while."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(1800))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With `--durations`, the files that took longest as well: what longest.txt is made of."""
    if config.option.durations is None or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    seconds: defaultdict[str, float] = defaultdict(float)
    for report in (report for found in terminalreporter.stats.values() for report in found):
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid.partition("::")[0]] += report.duration
    terminalreporter.section("slowest files")
    for name, taken in sorted(seconds.items(), key=lambda one: -one[1])[:60]:
        terminalreporter.write_line(f"{taken:4.0f} {name.removeprefix('tests/')}")
