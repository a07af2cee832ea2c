"""`penstock version`: what is installed here."""

import platform
import sys

from penstock import settings
from penstock.cli import output
from penstock.cli.grammar import command as verb
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.version import __version__


def facts() -> dict[str, str]:
    """Versions and places, without asking the server."""
    import sqlite3

    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "profile": settings.active_profile(),
        "home": str(settings.home()),
        "api_url": settings.get("PENSTOCK_API_URL") or "",
    }


@verb("version")
def command() -> None:
    """Show the versions of Penstock and of what it stands on."""
    row = facts()
    output.emit_one(current(), row, [Column(key, key) for key in row], lambda _: __version__)
