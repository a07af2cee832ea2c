import pytest

from penstock.agent.options import parse


def test_queues_are_taken_once_each_in_the_order_given() -> None:
    assert parse(["-q", "b", "-q", "a", "-q", "b"]).work_queues == ("b", "a")


def test_the_name_is_the_setting_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_AGENT_NAME", "from-setting")
    assert parse(["-q", "a"]).name == "from-setting"
    assert parse(["-q", "a", "--name", "given"]).name == "given"


def test_the_prefetch_time_is_the_setting_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_AGENT_PREFETCH_SECONDS", "7")
    assert parse(["-q", "a"]).prefetch_seconds == 7
    assert parse(["-q", "a", "--prefetch-seconds", "0"]).prefetch_seconds == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-q", "a", "-l", "0"],
        ["-q", "a", "-l", "x"],
        ["-q", "a", "--ramp-up", "0"],
        ["-q", "a", "--prefetch-seconds", "-1"],
        ["-q", "a", "--nmae"],
    ],
)
def test_what_makes_no_sense_is_refused_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(arguments)
    assert refused.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-q", "a"], "queue a"),
        (["-q", "a", "-q", "b"], "queues a, b"),
        (["-m", "x-"], "queues that begin with x-"),
        (["-m", "x-", "-m", "*-y"], "queues that begin with x- and queues that fit *-y"),
        (["-p", "pool"], "all queues of pool pool"),
        (["-p", "a", "-p", "b", "-p", "a"], "all queues of pools a, b"),
        (["-q", "a", "-p", "pool"], "queue a of pool pool"),
    ],
)
def test_what_an_agent_serves_is_said_in_words(arguments: list[str], words: str) -> None:
    assert parse(arguments).sources() == words


def test_the_ramp_up_is_the_setting_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(["-q", "a"]).ramp_up is None
    monkeypatch.setenv("PENSTOCK_AGENT_RAMP_UP", "3")
    assert parse(["-q", "a"]).ramp_up == 3
    assert parse(["-q", "a", "--ramp-up", "5"]).ramp_up == 5
