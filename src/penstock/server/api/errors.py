"""How what went wrong becomes an answer: one shape for all, ``{"code", "message", "hint", "detail"}``."""

import logging
import types
import typing
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from penstock import errors
from penstock.server.api.answers import answer

_log = logging.getLogger("penstock.server.api")

#: Error class -> HTTP status; the first that fits counts. An error that carries its own status keeps it.
STATUSES: tuple[tuple[type[errors.PenstockError], int], ...] = (
    (errors.NotFound, 404),
    (errors.NotAuthorized, 401),
    (errors.Invalid, 422),
    (errors.Conflict, 409),
    (errors.Refused, 409),
    (errors.Unreachable, 503),
    (errors.ParameterError, 409),
    (errors.PenstockError, 400),
)
#: Seconds after which a client that met a server with too much to do should ask again.
RETRY_AFTER = 1


def describe(message: str, code: str, hint: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of an error. `detail` repeats the message for clients that look there."""
    return {"code": code, "message": message, "hint": hint, "detail": message, **more}


def status_of(error: errors.PenstockError) -> int:
    own = getattr(error, "status", None)
    return own if own is not None else next(status for kind, status in STATUSES if isinstance(error, kind))


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the one shape."""
    app.add_exception_handler(errors.PenstockError, _penstock_error)
    app.add_exception_handler(RequestValidationError, _does_not_fit)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(404, _no_such_route)
    app.add_exception_handler(Exception, _internal_error)


def error_answer(error: errors.PenstockError) -> Response:
    """`error` as a response, for code that answers before any route is found."""
    status = status_of(error)
    body = describe(error.message, error.code, error.hint)
    if status in (404, 422, 503):
        body["exception_message"] = error.message
    return answer(body, status, {"Retry-After": str(RETRY_AFTER)} if status in (429, 503) else None)


async def _penstock_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.PenstockError)
    return error_answer(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(describe(str(error.detail), "http"), error.status_code, dict(error.headers or {}))


async def _no_such_route(request: Request, error: Exception) -> Response:
    if isinstance(error, errors.PenstockError):
        return error_answer(error)
    message = f"There is nothing at {request.method} {request.url.path}"
    return answer(describe(message, "no_such_route", "The paths that there are: /api/openapi.json"), 404)


async def _internal_error(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = "Internal Server Error"
    body = describe(message, "internal", "The server's log has the traceback.", exception_message=message)
    return answer(body, 500)


async def _does_not_fit(request: Request, error: Exception) -> Response:
    """422 whose message names the first wrong field and the nearest right one."""
    assert isinstance(error, RequestValidationError)
    found = [{key: e[key] for key in ("loc", "msg", "type", "ctx") if key in e} for e in error.errors()]
    first = found[0] if found else {"loc": (), "msg": "the request does not fit", "type": ""}
    message, hint = explain(first, _body_model(request))
    body = describe(
        message,
        "invalid",
        hint,
        exception_message="Invalid request received.",
        exception_detail=jsonable_encoder(found, custom_encoder={Exception: str, ValueError: str}),
        request_body=_echo(request, error.body),
    )
    return answer(body, 422)


def _echo(request: Request, body: Any) -> Any:
    """What was sent, for clients that look for it; never the body of a block, which may hold secrets in clear."""
    if "/block_documents" in request.url.path:
        return None
    return body.decode(errors="replace") if isinstance(body, bytes) else jsonable_encoder(body)


def explain(problem: dict[str, Any], body: type[BaseModel] | None) -> tuple[str, str | None]:
    """A message and a hint for one of pydantic's error records, given the model that the body should fit."""
    loc = [part for part in problem["loc"] if part != "body"]
    where = ".".join(str(part) for part in loc) or "the request"
    if problem["type"] == "extra_forbidden" and loc:
        known = fields_at(body, loc[:-1]) if body is not None else []
        guess = errors.nearest(str(loc[-1]), known)
        hint = f"Did you mean '{guess}'?" if guess else (f"Known here: {', '.join(sorted(known))}" if known else None)
        return f"There is no field '{where}'." + (f" Did you mean '{guess}'?" if guess else ""), hint
    if problem["type"] == "missing":
        return f"The field '{where}' is missing", f"Send '{where}'"
    return f"{where}: {problem['msg']}", None


def fields_at(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """The names of the fields that are known at `path` within `model`; empty if the path leads out of models."""
    here: Any = model
    for part in path:
        candidates = [here] if isinstance(here, type) and issubclass(here, BaseModel) else []
        field = next((m.model_fields[part] for m in candidates if part in m.model_fields), None)
        if field is not None:
            here = _inner_model(field.annotation)
        elif not isinstance(part, int):
            return []
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _inner_model(annotation: Any) -> Any:
    """The model within ``X | None``, ``list[X]`` and the like."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _inner_model(argument)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return None


def _body_model(request: Request) -> type[BaseModel] | None:
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(field, "field_info", None), "annotation", None)
    model = _inner_model(annotation)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None
