"""`penstock block create` on a terminal asks for what is missing, and nothing secret is echoed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

TYPES = '''
from typing import Literal
from pydantic import Field, SecretStr
from penstock.blocks.base import Block
from penstock.blocks.system import Secret


class Mooring(Block):
    """Where boats lie."""

    port: str = Field(description="Which port.")
    depth: float = Field(default=2.5, description="Metres of water.", gt=0)
    side: Literal["lee", "windward"] = "lee"
    guarded: bool = False
    code: SecretStr
    keeper: Secret | None = None
    kind: Literal["mooring"] = "mooring"
'''


@pytest.fixture(scope="module")
def harbour(place: Any) -> Any:
    """A server that knows the type mooring and has one saved secret, `keeper`."""
    path = place.file("harbour_types.py", TYPES)
    with place.terminal("-m", "penstock.cli", "block", "register", "-f", path) as terminal:
        terminal.expect("mooring")
        terminal.child.wait()
    with place.terminal("-m", "penstock.cli", "block", "create", "secret", "-n", "keeper", "value=k") as terminal:
        terminal.expect("Saved the block 'secret/keeper'")
        terminal.child.wait()
    return place


@contextmanager
def _creating(place: Any, *words: str) -> Iterator[Any]:
    with place.terminal("-m", "penstock.cli", "block", "create", *words) as terminal:
        yield terminal


def _data(place: Any, slug: str, name: str) -> dict[str, Any]:
    return dict(place.client.read_block_document_by_name(name, slug, include_secrets=True).data)


def test_each_field_is_asked_with_type_default_and_choices_and_secrets_are_not_echoed(harbour: Any):
    name = f"m-{uuid4()}"
    with _creating(harbour, "mooring") as terminal:
        seen = terminal.expect("Name of the mooring block: ")
        terminal.send("a/b")
        seen += terminal.expect("may not contain") + terminal.expect("Name of the mooring block: ")
        terminal.send(name)
        seen += terminal.expect("# Which port.") + terminal.expect("port (string): ")
        terminal.send("Bergen")
        seen += terminal.expect("code (string): ")
        terminal.send("hunter2")
        seen += terminal.expect("depth (number, more than 0) [2.5]: ")
        terminal.send("deep")
        seen += terminal.expect("'deep' is not number") + terminal.expect("[2.5]: ")
        terminal.send("4")
        seen += terminal.expect("side (one of lee, windward) [lee]: ")
        terminal.send("windwrd")
        seen += terminal.expect("Did you mean 'windward'?") + terminal.expect("[lee]: ")
        terminal.send("windward")
        seen += terminal.expect("guarded (boolean) [false]: ")
        terminal.send("yes")
        seen += terminal.expect("1  secret/keeper") + terminal.expect("number or TYPE/NAME: ")
        terminal.send("1")
        seen += terminal.expect(f"Saved the block 'mooring/{name}'")
        terminal.child.wait()
    assert "hunter2" not in seen
    assert "kind" not in seen, "a field with one possible value is no question"
    assert _data(harbour, "mooring", name) == {
        "port": "Bergen",
        "code": "hunter2",
        "depth": 4,
        "side": "windward",
        "guarded": True,
        "keeper": {"value": "k"},
    }


def test_enter_leaves_a_field_at_its_default_and_a_required_one_is_asked_again(harbour: Any):
    name = f"m-{uuid4()}"
    with _creating(harbour, "mooring", "--name", name) as terminal:
        terminal.expect("port (string): ")
        terminal.send("")
        terminal.expect("port (string): ")
        terminal.send("Oslo")
        terminal.expect("code (string): ")
        terminal.send("x")
        for question in ("[2.5]: ", "[lee]: ", "[false]: ", "TYPE/NAME: "):
            terminal.expect(question)
            terminal.send("")
        terminal.expect("Saved the block")
        terminal.child.wait()
    assert _data(harbour, "mooring", name) == {"port": "Oslo", "code": "x"}


def test_of_many_fields_with_a_default_only_those_are_asked_that_are_named(harbour: Any):
    name = f"p-{uuid4()}"
    with _creating(harbour, "process", "-n", name) as terminal:
        terminal.expect("Enter: none): ")
        terminal.send("envv")
        terminal.expect("Did you mean 'env'?")
        terminal.expect("Enter: none): ")
        terminal.send("env, working_dir")
        terminal.expect("env (map of string): ")
        terminal.send("LEVEL=debug")
        terminal.expect("is not a JSON object")
        terminal.send('{"LEVEL": "debug"}')
        terminal.expect("working_dir (string): ")
        terminal.send("/srv")
        terminal.expect("Saved the block")
        terminal.child.wait()
    data = _data(harbour, "process", name)
    assert (data["env"], data["working_dir"], data["grace_seconds"]) == ({"LEVEL": "debug"}, "/srv", 30)


def test_what_the_class_refuses_is_asked_again(harbour: Any):
    name = f"d-{uuid4()}"
    with _creating(harbour, "date-time", "-n", name) as terminal:
        terminal.expect("value (date and time): ")
        terminal.send("soon")
        terminal.expect("That does not fit. value:")
        terminal.expect("value (date and time): ")
        terminal.send("2031-05-06T07:08:09Z")
        terminal.expect("Saved the block")
        terminal.child.wait()
    assert _data(harbour, "date-time", name)["value"].startswith("2031-05-06T07:08:09")


def test_answers_that_do_not_go_together_are_asked_for_again(harbour: Any):
    name = f"c-{uuid4()}"
    with _creating(harbour, "docker-container", "-n", name) as terminal:
        terminal.expect("Enter: none): ")
        terminal.send("networks,network_mode")
        terminal.expect("networks (list of string): ")
        terminal.send('["inner"]')
        terminal.expect("network_mode (string): ")
        terminal.send("host")
        terminal.expect("That does not fit.")
        terminal.expect("networks (list of string): ")
        terminal.send('["inner"]')
        terminal.expect("network_mode (string): ")
        terminal.send("")
        terminal.expect("Saved the block")
        terminal.child.wait()
    data = _data(harbour, "docker-container", name)
    assert (data["networks"], data["network_mode"]) == (["inner"], None)


def test_a_name_that_is_taken_is_told_before_anything_is_asked(harbour: Any):
    with _creating(harbour, "secret", "-n", "keeper") as terminal:
        before = terminal.expect("There is a block 'secret/keeper' already.")
        terminal.child.wait()
        assert (before.count("value"), terminal.child.exitstatus) == (0, 6)


def test_ctrl_c_saves_nothing(harbour: Any):
    name = f"n-{uuid4()}"
    with _creating(harbour, "secret", "-n", name) as terminal:
        terminal.expect("value (string): ")
        terminal.ctrl_c()
        terminal.child.wait()
        assert terminal.child.exitstatus == 130
    assert name not in [found.name for found in harbour.client.read_block_documents()]


def test_no_input_asks_nothing_on_a_terminal_too(harbour: Any):
    with _creating(harbour, "secret", "-n", "silent", "--no-input") as terminal:
        assert "value: Field required" in terminal.expect("hint") + str(terminal.child.after)
        terminal.child.wait()
        assert terminal.child.exitstatus == 2
