"""Texts in blocks that stand for a variable or a file of the machine they are used on."""

import pickle
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, field_validator

from penstock.blocks.base import Block
from penstock.blocks.fields import SecretDict
from penstock.blocks.references import resolve_text, resolved
from penstock.blocks.system import Secret
from penstock.errors import ConfigurationError
from penstock.infrastructure.process.config import Process


class Link(Block):
    _block_type_slug = "test-link"

    url: str = "u"
    token: SecretStr | None = None
    table: SecretDict | None = None
    words: list[str] = Field(default_factory=list)
    by_name: dict[str, SecretStr] = Field(default_factory=dict)
    inner: "Link | None" = None

    @field_validator("url")
    @classmethod
    def _no_blank(cls, value: str) -> str:
        if " " in value:
            raise ValueError("a URL has no blanks")
        return value


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", "hunter2")
    monkeypatch.setenv("TEST_BLANK", "a b")
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.delenv("TEST_ABSENT", raising=False)


def test_references_are_replaced_in_every_place_that_a_text_may_stand():
    link = Link(
        url="http://${env:TEST_TOKEN}/x",
        token=SecretStr("${env:TEST_TOKEN}"),
        table={"a": {"b": ["${env:TEST_TOKEN}"]}},
        words=["w", "${env:TEST_TOKEN}"],
        by_name={"k": SecretStr("<${env:TEST_TOKEN}>")},
        inner=Link(token=SecretStr("${env:TEST_TOKEN}")),
    )
    acting = resolved(link)
    assert acting.url == "http://hunter2/x"
    assert acting.token == SecretStr("hunter2")
    assert acting.table is not None
    assert acting.table.get_secret_value() == {"a": {"b": ["hunter2"]}}
    assert acting.words == ["w", "hunter2"]
    assert acting.by_name == {"k": SecretStr("<hunter2>")}
    assert acting.inner is not None
    assert acting.inner.token == SecretStr("hunter2")
    assert link.url == "http://${env:TEST_TOKEN}/x"
    assert link.to_document_data()["words"] == ["w", "${env:TEST_TOKEN}"]


def test_what_a_reference_stands_for_is_neither_shown_nor_saved():
    acting = resolved(Link(url="http://${env:TEST_TOKEN}", inner=Link(words=["${env:TEST_TOKEN}"])))
    assert "hunter2" not in repr(acting) + str(acting)
    assert "${env:TEST_TOKEN}" in repr(acting)
    with pytest.raises(ConfigurationError, match="never saved"):
        acting.to_document_data()
    with pytest.raises(ConfigurationError, match="never saved"):
        acting.save("x")
    assert "hunter2" not in repr(pickle.loads(pickle.dumps(acting)))


def test_a_block_without_references_is_used_as_it_is():
    link = Link(words=["$HOME", "${HOME}", "${env:-x}", "${name:0:3}", "$(x)"])
    assert resolved(link) is link


def test_resolving_again_changes_nothing():
    once = resolved(Link(url="$${env:TEST_TOKEN}"))
    assert once.url == "${env:TEST_TOKEN}"
    assert resolved(once) is once


def test_a_default_stands_in_for_a_variable_that_is_not_set_or_empty():
    assert resolve_text("${env:TEST_ABSENT:-d:e}", "x") == "d:e"
    assert resolve_text("${env:TEST_EMPTY:-d}", "x") == "d"
    assert resolve_text("${env:TEST_EMPTY}", "x") == ""
    assert resolve_text("${env:TEST_ABSENT:-}", "x") == ""


def test_a_file_is_read_without_its_last_newline(tmp_path: Path):
    (tmp_path / "secret").write_text("two\nlines\n")
    assert Secret(value=f"${{file:{tmp_path}/secret}}").get() == "two\nlines"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${env:TEST_ABSENT}", "the environment variable TEST_ABSENT is not set"),
        ("${env:TEST_TOKN}", "Did you mean 'TEST_TOKEN'"),
        ("${env:MY VAR}", "'MY VAR' is no name of an environment variable"),
        ("${file:/nowhere/at/all}", "the file /nowhere/at/all cannot be read .*No such file"),
        ("${file:relative}", "must be named by its whole path"),
        ("${evn:TEST_TOKEN}", r"\$\{evn:…\} is no reference\. Did you mean 'env'"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_with_block_and_field(text: str, message: str):
    link = Link(words=[text])
    link._block_document_name, link._is_anonymous = "mine", False
    with pytest.raises(ConfigurationError, match=message) as caught:
        resolved(link)
    assert str(caught.value).startswith("block test-link/mine: words.0: ")


def test_files_that_are_no_settings_are_refused(tmp_path: Path):
    (tmp_path / "large").write_bytes(b"x" * 1024 * 1024 + b"x")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        resolve_text(f"${{file:{tmp_path}/large}}", "x")
    with pytest.raises(ConfigurationError, match="no UTF-8 text"):
        resolve_text(f"${{file:{tmp_path}/binary}}", "x")


def test_what_comes_out_passes_the_checks_of_the_class_and_is_not_told_if_it_fails():
    with pytest.raises(ConfigurationError, match="a URL has no blanks") as caught:
        resolved(Link(url="${env:TEST_BLANK}"))
    assert "a b" not in str(caught.value)


def test_what_was_not_set_stays_not_set():
    process = Process(env={"A": "${env:TEST_TOKEN}"})
    acting = resolved(process)
    assert acting.env == {"A": "hunter2"}
    assert acting.model_fields_set == {"env"}
    assert acting.limits() == process.limits()


def test_a_check_says_what_cannot_be_used_from_here():
    assert [finding.ok for finding in Link().check()] == [True]
    lost = Link(words=["${env:TEST_ABSENT}"], url="${file:/nowhere}").check()
    assert [(finding.tried, finding.ok) for finding in lost] == [
        ("what the field url refers to", False),
        ("what the field words refers to", False),
    ]
    assert all(finding.fix for finding in lost)
    wrong = Link()
    wrong.words = "text"  # type: ignore[assignment]
    assert [finding.tried for finding in wrong.check()] == ["the field words"]
