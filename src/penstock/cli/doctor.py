"""`penstock doctor`: looks at everything a run needs, and says what to do about what is wrong."""

from dataclasses import asdict, dataclass

from penstock import settings
from penstock.cli import output
from penstock.cli.config import problems
from penstock.cli.connection import Connection, connect
from penstock.cli.errors import CheckFailed
from penstock.cli.grammar import command as verb
from penstock.cli.output import Column
from penstock.cli.session import current
from penstock.cli.version import facts
from penstock.errors import NotAuthorized, PenstockError
from penstock.version import __version__

_COLUMNS = [Column("CHECK", "check"), Column("OK", "ok"), Column("SAID", "said"), Column("WHAT TO DO", "fix")]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `fix` says what to do when it is not right."""

    check: str
    ok: bool
    said: str
    fix: str = ""


@verb("doctor")
def command() -> None:
    """Check this machine, the server and the agents."""
    checks = [*_here(), *_server()]
    session = current()
    output.emit(session, [asdict(check) for check in checks], _COLUMNS, lambda row: str(row["check"]))
    wrong = [check for check in checks if not check.ok]
    if wrong:
        raise CheckFailed(f"{len(wrong)} of {len(checks)} checks found something wrong.", hint=wrong[0].fix or None)


def _here() -> list[Check]:
    found = facts()
    checks = [Check("client", True, f"Penstock {found['version']} on Python {found['python']}, {found['system']}")]
    home = settings.home()
    where = home if home.exists() else home.parent
    try:
        wrong = problems()
        said = "; ".join(f"{row['name']} ({row['place']}): {row['problem']}" for row in wrong)
        fix = "penstock config validate" if wrong else ""
        checks.append(Check("settings", not wrong, said or f"profile {found['profile']}", fix))
    except PenstockError as error:
        checks.append(Check("settings", False, error.message, "penstock config validate"))
    import os

    writable = os.access(where, os.W_OK)
    checks.append(
        Check("home", writable, str(home), "" if writable else f"Make {where} writable, or set PENSTOCK_HOME.")
    )
    return checks


def _server() -> list[Check]:
    try:
        url = settings.get("PENSTOCK_API_URL")
    except PenstockError as error:
        return [Check("server", False, error.message, "penstock config validate")]
    if not url:
        return [Check("server", True, "none is set: a local one is started whenever one is needed")]
    try:
        with connect() as connection:
            return [*_answers(connection, str(url)), _agents(connection)]
    except NotAuthorized as error:
        return [Check("server", False, error.message, "Set PENSTOCK_API_KEY to the server's key.")]
    except PenstockError as error:
        return [Check("server", False, error.message, "penstock server start, or correct PENSTOCK_API_URL")]


def _answers(connection: Connection, url: str) -> list[Check]:
    from penstock.client import admin

    connection.send(admin.read_health())
    version = str(connection.send(admin.read_version()))
    same = version == __version__
    checks = [
        Check("server", True, f"{url} answers"),
        Check("versions", same, f"server {version}, client {__version__}", "" if same else "Install the same version."),
    ]
    try:
        connection.send(admin.read_ready())
        checks.append(Check("database", True, "ready"))
    except PenstockError as error:
        checks.append(Check("database", False, error.message, "penstock server database upgrade"))
    return checks


def _agents(connection: Connection) -> Check:
    from penstock.client import agents

    online = [agent for agent in connection.rows(agents.read_agents(limit=200)) if agent.get("online")]
    if not online:
        return Check("agents", False, "none is online, so that nothing is run", "penstock agent start -q default")
    return Check("agents", True, f"{len(online)} online: {', '.join(str(agent['name']) for agent in online[:5])}")
