"""Bundles that a machine has already: fetched once, believed only by their digest, and room for new ones."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from penstock.errors import Unreachable
from penstock.storage import bundle_cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Source:
    """What a server would send."""

    def __init__(self, content: bytes) -> None:
        self.content, self.digest, self.asked = content, f"sha256:{sha256(content).hexdigest()}", 0

    def fetch(self, place: Path) -> None:
        self.asked += 1
        place.write_bytes(self.content)

    def read(self) -> bytes:
        with bundle_cache.archive_of(self.digest, self.fetch) as archive:
            return archive.read()


def test_a_bundle_is_fetched_once() -> None:
    source = Source(b"code")
    assert [source.read() for _ in range(3)] == [b"code"] * 3
    assert source.asked == 1
    assert bundle_cache.find(source.digest) is not None
    assert bundle_cache.folder().stat().st_mode & 0o777 == 0o700


def test_of_many_that_want_it_at_once_one_fetches_it() -> None:
    source = Source(b"code" * 1000)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: source.read(), range(32)))
    assert set(found) == {source.content}
    assert source.asked == 1


def test_processes_that_want_it_at_once_fetch_it_once(tmp_path: Path) -> None:
    script = (
        "import sys, hashlib\n"
        "from pathlib import Path\n"
        "from penstock.storage import bundle_cache\n"
        "def fetch(place):\n"
        "    with open(sys.argv[1], 'a') as file: file.write('fetched\\n')\n"
        "    place.write_bytes(b'code' * 100_000)\n"
        "digest = 'sha256:' + hashlib.sha256(b'code' * 100_000).hexdigest()\n"
        "with bundle_cache.archive_of(digest, fetch) as archive: assert len(archive.read()) == 400_000\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "told")]) for _ in range(3)]
    assert [process.wait(240) for process in running] == [0, 0, 0]
    assert (tmp_path / "told").read_text().split() == ["fetched"]


@pytest.mark.parametrize("damage", [b"", b"cod", b"coda", b"codecode"])
def test_an_entry_that_was_damaged_is_fetched_anew(damage: bytes) -> None:
    source = Source(b"code")
    source.read()
    kept = bundle_cache.find(source.digest)
    assert kept is not None
    kept.write_bytes(damage)
    assert bundle_cache.find(source.digest) is None
    assert source.read() == b"code"
    assert source.asked == 2


def test_a_fetch_that_fails_leaves_nothing_and_the_next_one_tries_again() -> None:
    source = Source(b"code")

    def fail(place: Path) -> None:
        place.write_bytes(b"co")
        raise Unreachable("away")

    with pytest.raises(Unreachable), bundle_cache.archive_of(source.digest, fail):
        pass
    assert [place.suffix for place in bundle_cache.folder().iterdir()] == [".lock"]
    assert source.read() == b"code"


def test_those_not_used_for_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_BUNDLE_CACHE_MB", "2")
    sources = [Source(bytes([number]) * 900_000) for number in range(3)]
    for second, source in enumerate(sources[:2]):
        source.read()
        kept = bundle_cache.find(source.digest)
        assert kept is not None
        os.utime(kept, (second, second))
    sources[0].read()
    sources[2].read()
    assert [bundle_cache.find(source.digest) is not None for source in sources] == [True, False, True]


def test_one_that_is_larger_than_the_room_is_kept_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_BUNDLE_CACHE_MB", "0.1")
    large, other = Source(b"x" * 300_000), Source(b"y" * 300_000)
    with bundle_cache.archive_of(large.digest, large.fetch) as archive:
        other.read()
        assert bundle_cache.find(large.digest) is None
        assert archive.read() == large.content, "it is not taken away from who uses it"


def test_where_nothing_can_be_kept_it_is_fetched_each_time(home: Path) -> None:
    home.write_text("a file where the folder should be")
    source = Source(b"code")
    assert [source.read(), source.read()] == [b"code", b"code"]
    assert source.asked == 2


def test_what_killed_processes_left_is_removed_after_a_day() -> None:
    source = Source(b"code")
    source.read()
    old, young = bundle_cache.folder() / "old.draft", bundle_cache.folder() / "young.draft"
    for draft in (old, young):
        draft.touch()
    os.utime(old, (1, 1))
    bundle_cache.make_room()
    assert (old.exists(), young.exists()) == (False, True)
