"""`penstock block`: create, inspect, delete, by class and by what the server knows of the type."""

import json
from pathlib import Path

import pytest
from cli_process import SameProcess, Terminal

from penstock.testing import TestServer

#: Types that are registered, and whose classes are not installed.
TYPES = '''
from enum import Enum
from pydantic import Field, SecretStr
from penstock.blocks.base import Block
from penstock.blocks.system import Secret


class Colour(Enum):
    RED = "red"
    WHITE = "white"


class Lighthouse(Block):
    """A light by the sea."""

    height: int = Field(description="Metres above the water.", ge=1)
    colour: Colour = Field(default=Colour.WHITE, description="What ships see.")
    lamp: SecretStr | None = None
    keeper: Secret | None = None
    tags: list[str] = []
    crew: list[Secret] = []
    spare: dict[str, Block] = {}
'''


@pytest.fixture(scope="module")
def shore(running: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A server that knows the type lighthouse, and the secret `pw`; nothing of the type is installed here."""
    terminal = SameProcess(running.env, tmp_path_factory.mktemp("shore"))
    (terminal.folder / "shore_types.py").write_text(TYPES)
    # a process of its own, so that this one does not come to know the class
    Terminal(running.env, terminal.folder).ok("block", "register", "-f", "shore_types.py")
    terminal.ok("block", "create", "secret", "-n", "pw", "-f", "-", stdin="value: hunter2\n")
    return terminal


def _read_secret(terminal: Terminal, name: str) -> str:
    found = terminal.ok("api", "GET", f"/block_types/slug/secret/block_documents/name/{name}?include_secrets=true")
    return str(found.json["data"]["value"])


def test_a_block_is_made_of_values(shore: Terminal) -> None:
    said = shore.ok(
        "block", "create", "process", "-n", "v", "env.LEVEL=debug", "env.N=1", "grace_seconds=5", "-o", "json"
    )
    data = said.json["data"]
    assert (data["env"], data["grace_seconds"]) == ({"LEVEL": "debug", "N": "1"}, 5)
    assert shore.ok("block", "ls", "--type", "process", "-o", "name").out.splitlines() == ["process/v"]


@pytest.mark.parametrize("written", ["env:\n  A: x\n", '{"env": {"A": "x"}}'], ids=["yaml", "json"])
def test_a_block_is_made_of_a_file_or_of_stdin_and_values_win(shore: Terminal, written: str) -> None:
    (shore.folder / "block.file").write_text(written)
    for source, stdin in (("block.file", None), ("-", written)):
        words = ("block", "create", "process", "-n", "f", "-f", source, "--overwrite", "env.B=y", "-o", "json")
        assert shore.ok(*words, stdin=stdin).json["data"]["env"] == {"A": "x", "B": "y"}


def test_a_secret_that_looks_like_a_number_stays_text_and_is_warned_of_on_the_command_line(shore: Terminal) -> None:
    said = shore.ok("block", "create", "secret", "-n", "pin", "value=0123")
    assert "value is secret" in said.err
    assert _read_secret(shore, "pin") == "0123"
    said = shore.ok("block", "create", "secret", "-n", "pin", "--overwrite", "value=${env:PIN}")
    assert "warning" not in said.err


def test_a_taken_name_is_refused_unless_the_block_is_to_be_overwritten_whole(shore: Terminal) -> None:
    shore.ok("block", "create", "process", "-n", "taken", "env.A=1", "grace_seconds=7")
    said = shore("block", "create", "process", "-n", "taken", "env.B=2")
    assert said.code == 6
    assert "--overwrite" in said.err
    data = shore.ok("block", "create", "process", "-n", "taken", "env.B=2", "--overwrite", "-o", "json").json["data"]
    assert (data["env"], data["grace_seconds"]) == ({"B": "2"}, 30)


def test_a_mask_that_comes_back_keeps_the_secret(shore: Terminal) -> None:
    shore.ok("block", "create", "secret", "-n", "kept", "-f", "-", stdin="value: hunter3")
    shown = shore.ok("block", "inspect", "secret/kept", "-o", "json").json["data"]
    for mask in (shown, {"value": "**********"}):
        shore.ok("block", "create", "secret", "-n", "kept", "--overwrite", "-f", "-", stdin=json.dumps(mask))
        assert _read_secret(shore, "kept") == "hunter3"
    lit = ("block", "create", "lighthouse", "-n", "masked", "-f", "-", "--overwrite")
    assert shore(*lit, stdin="{height: 1, lamp: '********'}").code == 2
    shore.ok(*lit, stdin="{height: 1, lamp: bright}")
    shore.ok(*lit, stdin="{height: 2, lamp: '********'}")
    path = "/block_types/slug/lighthouse/block_documents/name/masked?include_secrets=true"
    assert shore.ok("api", "GET", path).json["data"] == {"height": 2, "lamp": "bright"}


def test_a_type_that_is_not_installed_here_is_made_by_what_the_server_knows_of_it(shore: Terminal) -> None:
    words = ("block", "create", "lighthouse", "-n", "west", "height=12", "keeper=pw", 'tags=["a"]', "-o", "json")
    made = shore.ok(*words).json
    assert (made["data"]["height"], made["data"]["tags"]) == (12, ["a"])
    assert made["block_document_references"]["keeper"]["block_document"]["name"] == "pw"
    assert "hunter2" not in json.dumps(made)
    assert shore("block", "create", "lighthouse", "-n", "west", "height=1").code == 6
    again = shore.ok("block", "create", "lighthouse", "-n", "west", "height=1", "--overwrite", "-o", "json").json
    assert (again["id"], again["data"]) == (made["id"], {"height": 1})


def test_saved_blocks_are_named_in_lists_and_maps_too(shore: Terminal) -> None:
    written = "{height: 1, crew: [pw, secret/pw], spare: {left: secret/pw}}"
    words = ("block", "create", "lighthouse", "-n", "crewed", "-f", "-", "-o", "json")
    said = shore.ok(*words, stdin=written).json
    assert said["data"]["crew"] == [{"value": "********"}, {"value": "********"}]
    used = shore.ok("block", "inspect", "secret/pw", "-o", "json").json["used_by"]["block_documents"]
    assert "crewed" in [user["name"] for user in used]
    said = shore("block", "create", "lighthouse", "-n", "bad", "-f", "-", stdin="{height: 1, spare: {left: pw}}")
    assert (said.code, "TYPE/NAME" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("block create lighthuose -n x", 3, "Did you mean 'lighthouse'"),
        ("block create lighthouse -n x", 2, "height"),
        ("block create lighthouse -n x heihgt=1", 2, "Did you mean 'height'"),
        ("block create lighthouse -n x height=high", 2, "height"),
        ("block create lighthouse -n x height=1 keeper=pww", 3, "Did you mean 'secret/pw'"),
        ("block create process -n x grace_seconds=-1", 2, "grace_seconds"),
        ("block create process -n x env.A", 2, "FIELD=VALUE"),
        ("block create process -n x stream_output=sometimes", 2, "stream_output"),
        ("block create process -n a/b", 2, "may not contain"),
        ("block create secret -n x", 2, "value: Field required"),
        ("block create secret -n x value=********", 2, "********"),
        ("block create secret -n x value=**********", 2, "********"),
        ("block ls --type proces", 3, "Did you mean 'process'"),
        ("block delete secret/pww", 3, "Did you mean 'secret/pw'"),
        ("block type delete process -y", 1, "process"),
    ],
)
def test_what_does_not_fit_is_told_with_the_field_and_the_nearest_name(
    shore: Terminal, line: str, code: int, said: str
) -> None:
    done = shore(*line.split())
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(done.err.splitlines()) <= 3
    name = line.partition(" -n ")[2].partition(" ")[0]
    assert name not in [row["name"] for row in shore.ok("block", "ls", "-o", "json").json]


def test_a_file_that_cannot_be_read_is_refused_without_its_content(shore: Terminal) -> None:
    said = shore("block", "create", "secret", "-n", "x", "-f", "-", stdin="value: {hunter2\n- x")
    assert (said.code, "line" in said.err, "hunter2" in said.err) == (2, True, False)
    said = shore("block", "create", "secret", "-n", "x", "-f", "-", stdin="hunter2")
    assert (said.code, "hunter2" in said.err) == (2, False)


@pytest.mark.parametrize("form", ["table", "wide", "json", "jsonl", "yaml", "name"])
def test_blocks_and_types_have_every_form_and_no_form_shows_a_secret(shore: Terminal, form: str) -> None:
    shore.ok("block", "create", "lighthouse", "-n", "lit", "-f", "-", "--overwrite", stdin="{height: 3, lamp: hunter2}")
    for words in (
        ("inspect", "lighthouse/lit"),
        ("inspect", "secret/pw"),
        ("ls",),
        ("type", "inspect", "lighthouse"),
        ("type", "ls", "--capability", "run-infrastructure"),
        ("create", "secret", "-n", "again", "-f", "-", "--overwrite"),
    ):
        said = shore.ok("block", *words, "-o", form, stdin="value: hunter2")
        assert said.out
        assert "hunter2" not in said.out + said.err


def test_inspect_says_where_a_secret_can_be_read(shore: Terminal) -> None:
    assert 'Block.load("secret/pw")' in shore.ok("block", "inspect", "secret/pw").err


def test_a_type_shows_its_fields_with_type_default_and_meaning(shore: Terminal) -> None:
    lines = shore.ok("block", "type", "inspect", "lighthouse").out.splitlines()
    assert "height\tinteger\trequired\tMetres above the water." in lines
    assert "colour\tone of red, white\twhite\tWhat ships see." in lines
    assert any(line.startswith("lamp\tstring\tsecret") for line in lines)
    assert any(line.startswith("keeper\tsecret block") for line in lines)
    fields = shore.ok("block", "type", "inspect", "lighthouse", "-o", "json").json["fields"]
    assert next(field for field in fields if field["name"] == "height")["constraints"] == "at least 1"


def test_a_type_with_blocks_is_deleted_only_with_a_yes(shore: Terminal) -> None:
    shore.ok("block", "create", "lighthouse", "-n", "last", "height=1", "--overwrite")
    said = shore("block", "type", "delete", "string")
    assert said.code == 1
    said = shore("block", "type", "delete", "lighthouse")
    assert (said.code, "--yes" in said.err) == (2, True)


def test_inspect_tells_what_uses_a_block_and_delete_lists_it(shore: Terminal) -> None:
    (shore.folder / "flows.py").write_text("from penstock import flow\n\n\n@flow\ndef light():\n    pass\n")
    shore.ok("block", "create", "process", "-n", "used")
    shore.ok("deployment", "build", "flows.py:light", "-n", "west", "-ib", "process/used", "-a")
    shore.ok("block", "create", "lighthouse", "-n", "user", "height=1", "keeper=pw", "--overwrite")
    used = shore.ok("block", "inspect", "process/used", "-o", "json").json["used_by"]
    assert [(user["flow_name"], user["name"]) for user in used["deployments"]] == [("light", "west")]
    assert "block lighthouse/user" in shore.ok("block", "inspect", "secret/pw").out
    assert "data.keeper\tsecret/pw" in shore.ok("block", "inspect", "lighthouse/user").out.splitlines()
    for reference, user in (("process/used", "deployment light/west"), ("secret/pw", "block lighthouse/user")):
        said = shore("block", "delete", reference)
        assert said.code == 6
        assert f"  {user}" in said.err.splitlines()
        assert "Change or delete" in said.err
    shore.ok("deployment", "delete", "light/west")
    assert shore.ok("block", "delete", "process/used", "-o", "name").out == "process/used\n"
    assert shore("block", "inspect", "process/used").code == 3


#: Two versions of a type; the newer one has other fields, and knows what to make of the old ones.
BUOY = """
from penstock.blocks.base import Block
from penstock.model.findings import Finding


class Buoy(Block):
    _block_schema_version = 1
    metres: int
"""
NEWER_BUOY = """
from penstock.blocks.base import Block
from penstock.model.findings import Finding


class Buoy(Block):
    _block_schema_version = 2
    centimetres: int

    @Block.migrates(1)
    def _in_centimetres(data):
        return {"centimetres": data["metres"] * 100}

    def check(self):
        return [*super().check(), Finding("whether it floats", self.centimetres < 1000, "it was thrown in", "Make it less.")]
"""


def test_check_tells_of_old_blocks_and_fix_brings_them_up_to_date(running: TestServer, tmp_path: Path) -> None:
    terminal = Terminal({**running.env, "PYTHONPATH": str(tmp_path)}, tmp_path)
    package = tmp_path / "buoys-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: buoys\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[penstock.blocks]\nbuoy = buoys:Buoy\n")
    (tmp_path / "buoys.py").write_text(BUOY)
    said = terminal("block", "type", "inspect", "buoy")
    assert (said.code, "penstock block register -m buoys" in said.err) == (3, True)
    terminal.ok("block", "create", "buoy", "-n", "old", "metres=3")
    terminal.ok("block", "create", "secret", "-n", "env", "value=${env:NO_SUCH_VARIABLE}")
    assert terminal.ok("block", "check", "buoy/old", "-o", "json").json[0]["ok"]

    (tmp_path / "buoys.py").write_text(NEWER_BUOY)
    said = terminal("block", "check", "buoy/old")
    assert said.code == 7
    assert "version 1" in said.out
    said = terminal("block", "check", "buoy/old", "--fix", "-o", "json")
    assert (said.code, [row["tried"] for row in said.json][-1]) == (0, "whether it floats")
    assert terminal.ok("block", "inspect", "buoy/old", "-o", "json").json["data"] == {"centimetres": 300}
    assert terminal.ok("block", "check", "buoy/old").err == ""

    said = terminal("block", "check", "secret/env", "-o", "json")
    assert said.code == 7
    assert "NO_SUCH_VARIABLE" in said.out
    (tmp_path / "buoys.py").write_text(BUOY)
    said = terminal("block", "check")
    assert (said.code, "version 2" in said.out, "NO_SUCH_VARIABLE" in said.out) == (7, True, True)
    assert terminal("block", "check", "secret/none").code == 3
    terminal.ok("block", "delete", "secret/env")

    broken = NEWER_BUOY.replace("return [*super().check(),", "raise ValueError('hunter2') if self else [")
    (tmp_path / "buoys.py").write_text(broken)
    said = terminal("block", "check", "buoy/old")
    assert "buoy/old: the check of Buoy: it raised ValueError" in said.err
    assert (said.code, "it raised ValueError" in said.out, "hunter2" in said.out + said.err) == (7, True, False)


@pytest.mark.parametrize("how", ["module", "file"])
def test_types_are_registered_from_a_module_or_a_file(running: TestServer, tmp_path: Path, how: str) -> None:
    terminal = Terminal(running.env, tmp_path)
    (tmp_path / "quay_types.py").write_text(
        "from penstock.blocks.base import Block\n\n\nclass Quay(Block):\n    x: int\n"
    )
    words = ("-m", "quay_types") if how == "module" else ("-f", "quay_types.py")
    assert terminal.ok("block", "register", *words, "-o", "name").out == "quay\n"
    assert "quay" in terminal.ok("block", "type", "ls", "-o", "name").out.splitlines()
