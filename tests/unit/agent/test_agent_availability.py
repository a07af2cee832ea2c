"""A platform that does not answer is told once, asked until it answers, and not offered meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from penstock.agent import availability
from penstock.agent.availability import Availability
from penstock.agent.supervision import Supervisor
from penstock.errors import ConfigurationError, NotReachable


class Platform:
    """A platform and what is known of it. It gives its `answer`, or raises it."""

    def __init__(self) -> None:
        self.answer: str | Exception = "here"
        self.asked: list[Any] = []
        self.known = Availability(Supervisor(), self.probe)

    async def probe(self, slug: str, config: Any) -> None:
        self.asked.append(config)
        answer = NotReachable("no such host") if config == "nowhere" else self.answer
        if isinstance(answer, NotReachable):
            self.known.silent(slug, config, answer.message)
        if isinstance(answer, Exception):
            raise answer
        self.known.answered(slug, answer, config)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(availability, "DOUBT_SECONDS", 3600.0)


def play(story: Callable[[Platform], Awaitable[None]]) -> Platform:
    async def put() -> Platform:
        platform = Platform()
        async with asyncio.timeout(120):
            await story(platform)
        return platform

    return asyncio.run(put())


def test_one_that_is_silent_is_away_until_it_answers_and_both_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(platform: Platform) -> None:
        platform.answer = NotReachable("refused")
        platform.known.silent("fake", "config", "refused")
        platform.known.silent("fake", "config", "refused again")
        assert {slug: away.why for slug, away in platform.known.away().items()} == {"fake": "refused again"}
        [line] = platform.known.said()
        assert line.startswith("the platform of fake jobs has not answered since ")
        assert line.endswith(" UTC: refused again")
        while len(platform.asked) < 3:
            await asyncio.sleep(0.01)
        assert "fake" in platform.known.away()
        platform.answer = "here"
        assert await platform.known.back(60)
        assert platform.known.away() == {}

    with caplog.at_level(logging.WARNING):
        play(story)
    assert [record.message.split(" jobs ")[1].split(",")[0] for record in caplog.records] == [
        "does not answer",
        "answers again: its runs are taken again",
    ]


def test_a_doubt_that_is_answered_takes_nothing_away() -> None:
    async def story(platform: Platform) -> None:
        platform.known.doubt("fake", "config")
        platform.known.doubt("fake", "config")
        while not platform.asked:
            await asyncio.sleep(0.01)
        assert platform.known.away() == {}

    assert play(story).asked == ["config"]


def test_a_type_with_two_places_stays_on_offer_when_one_of_them_is_silent() -> None:
    async def story(platform: Platform) -> None:
        platform.known.answered("fake", "here", "config")
        platform.known.answered("fake", "there", "other")
        platform.known.silent("fake", "config", "refused")
        assert platform.known.away() == {}

    play(story)


def test_a_configuration_that_leads_nowhere_takes_nothing_away_for_those_that_are_right() -> None:
    async def story(platform: Platform) -> None:
        platform.known.answered("fake", "here", "right")
        platform.known.silent("fake", "nowhere", "no such host")
        assert await platform.known.back(60)
        while platform.asked != ["right", "nowhere"]:
            await asyncio.sleep(0.01)
        assert platform.known.away() == {}
        platform.known.silent("fake", "nowhere", "no such host")
        assert platform.known.away() == {}
        platform.answer = NotReachable("refused")
        platform.known.silent("fake", "right", "refused")
        assert list(platform.known.away()) == ["fake"]

    play(story)


def test_one_that_is_silent_by_every_configuration_is_away_until_it_answers_by_any() -> None:
    async def story(platform: Platform) -> None:
        platform.known.answered("fake", "here", "right")
        platform.answer = NotReachable("refused")
        platform.known.silent("fake", "other", "refused")
        while len(platform.asked) < 4:
            await asyncio.sleep(0.01)
        assert platform.asked[:4] == ["right", "other", "right", "other"]
        assert list(platform.known.away()) == ["fake"]
        platform.answer = "here"
        assert await platform.known.back(60)
        assert platform.known.away() == {}

    play(story)


@pytest.mark.parametrize("answer", [ConfigurationError("no such context"), RuntimeError()])
def test_one_that_says_something_else_than_which_place_it_is_is_left_to_the_next_run(answer: Exception) -> None:
    async def story(platform: Platform) -> None:
        platform.answer = answer
        platform.known.silent("fake", "config", "refused")
        await platform.known.change()
        assert platform.known.away() == {}

    play(story)


def test_who_waits_for_a_platform_that_does_not_come_back_waits_no_longer_than_said() -> None:
    async def story(platform: Platform) -> None:
        assert not await platform.known.back(0.01)

    play(story)


def test_namespaces_of_one_cluster_are_away_together() -> None:
    async def story(platform: Platform) -> None:
        platform.known.answered("fake", "cluster:1/default", "config")
        platform.known.answered("fake", "cluster:1/team", "config")
        platform.answer = NotReachable("refused")
        platform.known.silent("fake", "config", "refused")
        assert list(platform.known.away()) == ["fake"]

    play(story)


def test_doubts_are_looked_into_once_in_a_while_and_silence_at_once() -> None:
    async def story(platform: Platform) -> None:
        for _ in range(3):
            platform.known.doubt("fake", "config")
            await asyncio.sleep(0.02)
        assert platform.asked == ["config"]
        platform.known.silent("fake", "config", "refused")
        await platform.known.back(60)
        assert platform.known.away() == {}

    assert len(play(story).asked) == 2


def test_who_waits_for_a_change_misses_none_that_comes_before_the_waiting_has_begun() -> None:
    async def story(platform: Platform) -> None:
        platform.answer = NotReachable("refused")
        waiting = asyncio.create_task(platform.known.change())  # it begins with the loop's next round
        platform.known.silent("fake", "config", "refused")
        later = asyncio.create_task(platform.known.change())
        await waiting
        assert not later.done()
        later.cancel()

    play(story)
