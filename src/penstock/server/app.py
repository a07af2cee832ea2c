"""The server's wiring: database, routes, services, errors, access. No globals: two servers in one process do not meet."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from penstock.server import services as background
from penstock.server.api import ROUTERS
from penstock.server.api import errors as api_errors
from penstock.server.api.access import Access
from penstock.server.api.activity import Activity, ActivityMeter
from penstock.server.api.protocol import Protocol
from penstock.server.database.connection import Database
from penstock.server.operations.install_defaults import install_defaults
from penstock.version import __version__

#: Largest body of a request, in bytes: a batch of reports is well below it.
MAX_BODY = 64 * 1024 * 1024


def create_app(
    database: Database, *, services: bool = True, key: str | None = None, activity: Activity | None = None
) -> FastAPI:
    """The ASGI application on `database`, which it closes when it stops.

    `key`: what requests must show; None lets everybody in. `services`: whether the background loops run here.
    `activity` is told of every request.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        database.hub.attach(asyncio.get_running_loop())
        await database.write(install_defaults)
        running = background.all_services(database) if services else []
        for service in running:
            await service.start()
        try:
            yield
        finally:
            for service in reversed(running):
                await service.stop()
            await asyncio.get_running_loop().run_in_executor(None, database.close)

    app = FastAPI(
        title="Penstock",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY,
    )
    app.state.database = database
    for name in ROUTERS:
        app.include_router(importlib.import_module(name).router, prefix="/api")
    api_errors.install(app)
    # the last one added is the first that a request meets
    app.add_middleware(Protocol)
    app.add_middleware(Access, key=key, database=database)
    if activity is not None:
        app.add_middleware(ActivityMeter, activity=activity)
    return app
