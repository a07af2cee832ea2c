"""A variable that looks like a setting and is none is not ignored in silence."""

import os

import pytest

from penstock.cli.main import main


def test_a_mistyped_setting_in_the_environment_is_named_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_API_ULR", "http://127.0.0.1:4200/api")
    assert main(["help", "exit-codes"]) == 0
    shown = capsys.readouterr()
    assert "warning: PENSTOCK_API_ULR is no setting. Did you mean PENSTOCK_API_URL?" in shown.err
    assert "PENSTOCK_API_ULR" not in shown.out


def test_settings_and_what_jobs_are_given_are_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setenv("PENSTOCK__FLOW_RUN_ID", "x")
    assert main(["help", "exit-codes"]) == 0
    assert "warning" not in capsys.readouterr().err
