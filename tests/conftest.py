"""What holds for all tests."""

import importlib
import pkgutil
import signal


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
