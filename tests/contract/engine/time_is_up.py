"""Timeouts that pass when a test says so, however slow the machine is."""

import signal


def time_is_up() -> None:
    """The timeout of the code that the main thread runs passes now.

    It is a long one, which would not pass by itself, but shorter than what pytest gives the test.
    """
    signal.setitimer(signal.ITIMER_REAL, 0.001)
