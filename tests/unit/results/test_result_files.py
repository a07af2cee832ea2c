"""The file of a result says how to read it, and shows when it is damaged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ResultError, SerializationError
from penstock.results.blobs import pack, unpack
from penstock.results.serializers import as_serializer


@pytest.mark.parametrize("name", ["pickle", "json", "compressed/json"])
def test_a_file_begins_with_a_line_of_json_that_says_what_follows(name: str) -> None:
    content = pack(as_serializer(name), ["x"] * 3)
    line, _, payload = content.partition(b"\n")
    header = json.loads(line)
    assert header["serializer"]["type"] == name
    assert (header["format"], header["size"]) == (1, len(payload))
    assert unpack(content) == ["x"] * 3


@given(value=st.binary(), position=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed(value: bytes, position: int, change: int) -> None:
    content = bytearray(pack(as_serializer("pickle"), value))
    start = content.index(b"\n") + 1
    where = start + position % (len(content) - start)
    content[where] ^= change
    with pytest.raises(ResultError, match="damaged"):
        unpack(bytes(content))


@given(left=st.integers(0, 10**6))
def test_a_file_that_ends_early_is_noticed(left: int) -> None:
    content = pack(as_serializer("json"), {"a": 1})
    with pytest.raises(ResultError, match="damaged"):
        unpack(content[: left % len(content)])


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[1]\nabc", b"\x80\x04N.", b'{"a": 1}\nx'])
def test_something_else_is_told_from_a_result(content: bytes) -> None:
    with pytest.raises(ResultError, match="does not begin as one of a result does"):
        unpack(content)


def test_a_newer_format_says_who_wrote_it() -> None:
    line, _, rest = pack(as_serializer("json"), 1).partition(b"\n")
    header = {**json.loads(line), "format": 2, "penstock": "9.9"}
    with pytest.raises(ResultError, match=r"format 2, written by Penstock 9\.9"):
        unpack(json.dumps(header).encode() + b"\n" + rest)


def test_what_needs_a_module_that_is_not_here_says_so() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import only_there\n"
        "from penstock.results.blobs import pack\n"
        "from penstock.results.serializers import as_serializer\n"
        "sys.stdout.buffer.write(pack(as_serializer('pickle'), only_there.Thing()))\n"
    )
    content = _run_with_module("class Thing: pass\n", program)
    with pytest.raises(SerializationError, match="No module named 'only_there'") as caught:
        unpack(content)
    assert "must be installed here" in str(caught.value.hint)


def test_the_serializer_that_wrote_is_imported_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = (
        "from penstock.serializers import Serializer\n"
        "class Shouting(Serializer):\n"
        "    type: str = 'shouting'\n"
        "    def dumps(self, obj): return obj.upper().encode()\n"
        "    def loads(self, blob): return blob.decode()\n"
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from only_there import Shouting\n"
        "from penstock.results.blobs import pack\n"
        "sys.stdout.buffer.write(pack(Shouting(), 'hello'))\n"
    )
    content = _run_with_module(module, program)
    with pytest.raises(SerializationError, match="There is no serializer 'shouting'"):
        unpack(content)
    (tmp_path / "only_there.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert unpack(content) == "HELLO"


def _run_with_module(module: str, program: str) -> bytes:
    """What `program` prints, which is given a folder with `only_there.py`."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "only_there.py").write_text(module)
        command: list[Any] = [sys.executable, "-c", program, folder]
        return subprocess.run(command, check=True, capture_output=True).stdout
