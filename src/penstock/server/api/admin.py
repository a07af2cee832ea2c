"""About this server: its version, settings, counters; and emptying its database."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response

from penstock import settings
from penstock.errors import Invalid
from penstock.model.block_documents import MASK
from penstock.server.api.answers import answer, no_content
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.change_counter import read_counters
from penstock.server.operations.clear_database import clear_database, create_tables, drop_tables
from penstock.version import __version__

router = APIRouter(tags=["Admin"])
Confirmed = Annotated[bool, Body(embed=True, alias="confirm")]


def _check(confirmed: bool) -> None:
    if not confirmed:
        raise Invalid("This cannot be undone, so it must be confirmed", hint='Send {"confirm": true}', status=400)


@router.get("/admin/version", response_model=str)
async def read_version() -> Response:
    return answer(__version__)


@router.get("/admin/settings", response_model=dict[str, Any])
async def read_settings() -> Response:
    """The server's settings; secrets are masked."""
    values = {name: settings.get(name) for name in settings.SETTINGS}
    shown = {name: MASK if settings.SETTINGS[name].secret and value else value for name, value in values.items()}
    return answer(shown)


@router.get("/counters", response_model=dict[str, int])
async def counters(database: TheDatabase) -> Response:
    """Every counter by name, e.g. ``flow_runs.state.FAILED``."""
    return answer(await database.read(read_counters))


@router.post("/admin/database/clear", status_code=204)
async def clear(database: TheDatabase, confirmed: Confirmed = False) -> Response:
    """Delete every row of every table."""
    _check(confirmed)
    await database.write(clear_database)
    return no_content()


@router.post("/admin/database/drop", status_code=204)
async def drop(database: TheDatabase, confirmed: Confirmed = False) -> Response:
    """Drop every table."""
    _check(confirmed)
    await database.write(drop_tables)
    return no_content()


@router.post("/admin/database/create", status_code=204)
async def create(database: TheDatabase, confirmed: Confirmed = False) -> Response:
    """Make the tables that are missing."""
    _check(confirmed)
    await database.write(create_tables)
    return no_content()
