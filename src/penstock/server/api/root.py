"""Is it there, is it ready, which version is it."""

from fastapi import APIRouter, Response

from penstock.errors import Invalid, Unreachable
from penstock.server.api.answers import answer
from penstock.server.api.dependencies import TheDatabase
from penstock.server.operations.ping import ping
from penstock.version import __version__

router = APIRouter(tags=["Root"])


@router.get("/health", response_model=bool)
async def read_health() -> Response:
    return answer(True)


@router.get("/hello", response_model=str)
async def read_hello() -> Response:
    return answer("👋")


@router.get("/version", response_model=str)
async def read_version() -> Response:
    return answer(__version__)


@router.get("/ready")
async def read_ready(database: TheDatabase) -> Response:
    """200 once the database answers, else 503."""
    try:
        await database.read(ping)
    except Exception as error:
        raise Unreachable(f"The database does not answer: {error}", code="not_ready", status=503) from error
    return answer({"message": "OK"})


@router.get("/csrf-token", status_code=422)
async def read_csrf_token(client: str = "") -> Response:
    """Tokens against forged requests are not used: the answer tells clients to go on without."""
    raise Invalid("CSRF protection is disabled.", code="csrf_disabled")
