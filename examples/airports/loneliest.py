"""Which airport of each country is the farthest from any other airport in the world?

Reads the 28,000 airports of the public data set that the package `airportsdata` carries, looks at every country in a task of its own,
and writes a table of the loneliest ones.
"""

import csv
import math
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import airportsdata

from penstock import flow, task

#: Mean radius of the Earth in kilometres (IUGG).
EARTH_RADIUS_KM = 6371.0088
#: Kilometres in one degree of latitude.
DEGREE_KM = math.pi * EARTH_RADIUS_KM / 180


@lru_cache(maxsize=1)
def airports() -> dict[str, dict]:
    return airportsdata.load("ICAO")


@lru_cache(maxsize=1)
def by_cell() -> dict[tuple[int, int], list[str]]:
    """The airports of each cell of one degree by one degree, so that a neighbour is found without looking at all of them."""
    cells: dict[tuple[int, int], list[str]] = defaultdict(list)
    for code, airport in airports().items():
        cells[math.floor(airport["lat"]), math.floor(airport["lon"]) % 360].append(code)
    return cells


def distance_km(a: dict, b: dict) -> float:
    """Great-circle distance by the haversine formula."""
    lat1, lat2 = math.radians(a["lat"]), math.radians(b["lat"])
    half = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin(math.radians(b["lon"] - a["lon"]) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))


def nearest(code: str) -> tuple[float, str]:
    """The nearest other airport: looks at ever wider rings of cells until no closer one can lie outside of them."""
    known, cells = airports(), by_cell()
    here = known[code]
    row, column = math.floor(here["lat"]), math.floor(here["lon"])
    best = (math.inf, "")
    seen: set[tuple[int, int]] = set()
    for ring in range(1, 181):
        for y in range(max(-90, row - ring), min(89, row + ring) + 1):
            # a degree of longitude shrinks towards the poles: look proportionally farther
            shrink = max(0.01, math.cos(math.radians(min(89.0, max(abs(y), abs(y + 1))))))
            reach = min(180, math.ceil(ring / shrink))
            for x in range(column - reach, column + reach + 1):
                cell = (y, x % 360)
                if cell in cells and cell not in seen:
                    seen.add(cell)
                    best = min([best, *((distance_km(here, known[c]), c) for c in cells[cell] if c != code)])
        # a great circle is a little shorter than the way along the parallel, hence the margin
        if best[0] <= 0.9 * ring * DEGREE_KM:
            break
    return best


@task
def read_countries() -> list[str]:
    """Codes of all countries that have an airport."""
    return sorted({airport["country"] for airport in airports().values() if airport["country"]})


@task(task_run_name="loneliest-of-{country}", retries=1)
def loneliest_of(country: str) -> tuple[float, str, str]:
    """(kilometres to its nearest neighbour, its code, the neighbour's code) of the country's loneliest airport."""
    return max((*nearest(code), code) for code, airport in airports().items() if airport["country"] == country)


@task
def write_report(rows: list[tuple[float, str, str]], path: str) -> str:
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["km_to_nearest", "airport", "name", "country", "nearest_airport"])
        for km, neighbour, code in rows:
            writer.writerow([round(km, 1), code, airports()[code]["name"], airports()[code]["country"], neighbour])
    return str(Path(path).resolve())


@flow(name="loneliest-airports", log_prints=True)
def loneliest_airports(top: int = 10, countries: list[str] | None = None, report: str = "loneliest.csv") -> str:
    """Find the loneliest airport of each country and write the table to `report`; the `top` ones are printed."""
    wanted = countries or read_countries()
    print(f"{len(airports()):,} airports in {len(wanted)} countries")
    found = []
    for done, future in enumerate(loneliest_of.map(wanted), start=1):
        found.append(future.result())
        if done % 50 == 0:
            print(f"{done} countries done")
    rows = sorted(found, reverse=True)
    for km, neighbour, code in rows[:top]:
        airport, near = airports()[code], airports()[neighbour]
        print(f"{km:7,.0f} km  {airport['name']} ({airport['country']}) - nearest: {near['name']} ({near['country']})")
    path = write_report(rows, report)
    print(f"Report: {path}")
    return path


if __name__ == "__main__":
    loneliest_airports()
