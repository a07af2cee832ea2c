"""What a watched run says while it waits: each thing once, and how far it is from time to time."""

from penstock.cli.watch import Explained

WAITS = "It is due at 2026-01-01 00:00:09 UTC, in {} s."


def test_a_countdown_is_told_once() -> None:
    explained = Explained()
    assert explained.news(WAITS.format(9), "", 0.0) == WAITS.format(9)
    assert not any(explained.news(WAITS.format(9 - second), "", second) for second in range(1, 9))


def test_numbers_are_told_again_after_a_while() -> None:
    explained = Explained()
    first, second = "it waits for the image (1 of 120 MB)", "it waits for the image (90 of 120 MB)"
    assert explained.news(first, "", 0.0) == first
    assert explained.news(second, "", 1.0) == ""
    assert explained.news(second, "", 20.0) == second
    assert explained.news(second, "", 40.0) == "", "what has not changed at all is not told again"


def test_other_words_are_told_at_once() -> None:
    explained = Explained()
    assert explained.news(WAITS.format(9), "", 0.0)
    assert explained.news("Its process has started.", "", 0.1) == "Its process has started."


def test_what_the_state_has_said_already_is_left_out() -> None:
    message = "The image is not to be had. It is launched again in 2.0 s (try 1 of 3)."
    told = Explained().news(f"{message} {WAITS.format(2)}", message, 0.0)
    assert told == WAITS.format(2)
