"""``python -m penstock.server``: the server as a process; ``python -m penstock.server database …``: its schema."""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
import warnings

import uvicorn
from pydantic.warnings import UnsupportedFieldAttributeWarning

from penstock import clock, settings
from penstock.errors import PenstockError
from penstock.server import keys
from penstock.server.api.activity import Activity
from penstock.server.app import create_app
from penstock.server.binding import base_url, bind, demanded_key
from penstock.server.database import migrate
from penstock.server.database.connection import Database

#: Seconds after which a thread that computes lets another one have the interpreter (Python's own default is 0.005): a
#: request passes through three threads, so it meets this several times while batches of reports are being written.
SWITCH_SECONDS = 0.001
#: Seconds that requests get to end once the server was asked to stop; long polls end at once.
GRACE = 5


class Server(uvicorn.Server):
    """uvicorn, which besides says when it listens, ends long polls when it stops, and may leave when idle."""

    def __init__(self, config: uvicorn.Config, database: Database, announce: int | None, url: str) -> None:
        super().__init__(config)
        self._database, self._announce, self._url = database, announce, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Modules, routes and schemas live as long as the server: 0.1 s of every full collection, in which nobody is answered.
        gc.freeze()
        if self._announce is not None:
            with os.fdopen(self._announce, "w") as pipe:
                pipe.write(f"{self._url}\n")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._database.hub.close()
        await super().shutdown(sockets)
        # a stop that was asked for is a success: uvicorn would raise the signal once more
        self._captured_signals.clear()


async def _leave_when_idle(server: Server, activity: Activity, limit: float) -> None:
    while not server.should_exit:
        if not server.started:
            activity.last = clock.monotonic()  # the time that the start takes is no idleness
        left = limit - activity.idle_seconds()
        if left <= 0:
            server.should_exit = True
        await asyncio.sleep(max(0.05, min(left, 1.0)))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m penstock.server", description="Serve the Penstock API.")
    parser.add_argument("--host", help="address to listen on (PENSTOCK_SERVER_API_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (PENSTOCK_SERVER_API_PORT)")
    parser.add_argument("--ephemeral", action="store_true", help="leave after PENSTOCK_EPHEMERAL_IDLE_SECONDS unused")
    parser.add_argument(
        "--no-services", action="store_true", help="answer requests only: no scheduler, no judging of limits"
    )
    parser.add_argument(
        "--ready-fd", type=int, metavar="FD", help="file descriptor that gets the base URL once it listens"
    )
    return parser.parse_args(arguments)


def serve(options: argparse.Namespace) -> int:
    host = options.host or settings.get("PENSTOCK_SERVER_API_HOST")
    port = options.port if options.port is not None else settings.get("PENSTOCK_SERVER_API_PORT")
    keys.load()  # without its keys no server should start: it could read no secret and would know no attempt
    sock = bind(host, port)
    key = demanded_key(host)
    url = settings.database_url()
    if settings.get("PENSTOCK_API_DATABASE_MIGRATE_ON_START"):
        migrate.upgrade(url)
    database = Database(url, pool_size=settings.get("PENSTOCK_API_DATABASE_POOL_SIZE"))
    activity = Activity()
    config = uvicorn.Config(
        create_app(database, services=not options.no_services, key=key, activity=activity),
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
    )
    server = Server(config, database, options.ready_fd, base_url(host, sock))
    sys.setswitchinterval(SWITCH_SECONDS)

    async def run() -> None:
        idle: asyncio.Task[None] | None = None
        if options.ephemeral:
            limit = settings.get("PENSTOCK_EPHEMERAL_IDLE_SECONDS")
            idle = asyncio.create_task(_leave_when_idle(server, activity, limit))
        await server.serve(sockets=[sock])
        if idle is not None:
            await idle

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    return 0


def main(arguments: list[str]) -> int:
    logging.basicConfig(
        level=settings.get("PENSTOCK_LOGGING_SERVER_LEVEL"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # FastAPI silences it where it makes a route's schema; ours are made at the first request, for a fast start
    warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
    try:
        return migrate.main(arguments[1:]) if arguments[:1] == ["database"] else serve(parse(arguments))
    except PenstockError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
