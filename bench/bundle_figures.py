"""Figures about bundles: what it costs that code travels by itself."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from unittest import mock

from bench import peer as peers
from bench.measure import Figure
from penstock import testing
from penstock.storage.bundle import Bundle, pack_project, send

#: Files of the project that travels: some of Penstock's own.
_FILES = 200


def bundle(peer: peers.Peer | None, **_: Any) -> Iterator[Figure]:
    with testing.server() as server, server.client() as client, tempfile.TemporaryDirectory() as folder:
        project, place = _project(Path(folder)), Path(folder, "unpacked")
        with _home(Path(folder, "home"), server.api_url):
            yield _figure(f"{_FILES} files packed", lambda _: pack_project(project))
            packed = pack_project(project).bundle
            began = perf_counter()
            send(client, packed, project)
            yield Figure("a bundle of them sent", (perf_counter() - began) * 1000, "ms")
            yield _figure("a bundle offered that the server has", lambda _: send(client, packed, project))
            yield _figure("a bundle unpacked from the cache, for each run", _unpack(packed, place))
            yield _figure(
                "the unpacked files copied, for comparison", lambda n: shutil.copytree(place / "0", place / f"c{n}")
            )

        def fetch(number: int) -> None:
            with _home(Path(folder, f"home-{number}"), server.api_url):
                packed.get_directory(None, str(place / f"fetched-{number}"))

        yield _figure("a bundle fetched and unpacked, once for each machine", fetch)


def _home(folder: Path, api_url: str) -> Any:
    return mock.patch.dict("os.environ", {"PENSTOCK_HOME": str(folder), "PENSTOCK_API_URL": api_url})


def _project(folder: Path) -> Path:
    source = Path(testing.__file__).parents[1]
    for file in sorted(source.rglob("*.py"))[:_FILES]:
        place = folder / "project" / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    return folder / "project"


def _unpack(packed: Bundle, place: Path) -> Callable[[int], Any]:
    return lambda number: packed.get_directory(None, str(place / str(number)))


def _figure(name: str, act: Callable[[int], Any], times: int = 9) -> Figure:
    """The median of some times that `act` takes; it gets the number of the try."""
    samples = []
    for number in range(times):
        began = perf_counter()
        act(number)
        samples.append(perf_counter() - began)
    return Figure(name, median(samples) * 1000, "ms")


FIGURES = {"bundle": bundle}
