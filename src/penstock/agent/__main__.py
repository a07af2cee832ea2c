"""``python -m penstock.agent``: see `penstock.agent.options` for its arguments.

Exit status: 0 when it was told to leave (or, with --run-once, is done) · 2 the command line · 70 its loop was stuck ·
78 no server is named, it refuses the key or has no such pool, or the health port is taken · 130 told to leave twice.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

from penstock import logs, settings
from penstock.agent import options
from penstock.agent.agent import EXIT_CONFIGURATION, Agent
from penstock.errors import PenstockError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an agent until it leaves; its exit status."""
    try:
        found = options.parse(arguments)
        logs.configure(settings.get("PENSTOCK_LOGGING_LEVEL"))
        api_url = settings.get("PENSTOCK_API_URL")
        if not api_url:
            print("error: no server is named. Set PENSTOCK_API_URL, e.g. to http://127.0.0.1:4200/api", file=sys.stderr)
            print("hint: `penstock server start` starts one, `penstock up` one with an agent.", file=sys.stderr)
            return EXIT_CONFIGURATION
        return asyncio.run(_run(found, api_url, settings.get("PENSTOCK_API_KEY")))
    except PenstockError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return EXIT_CONFIGURATION


async def _run(found: options.Options, api_url: str, key: str | None) -> int:
    return await Agent(found, api_url, key).run()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for an answer have nothing to say any more.
    os._exit(status)
