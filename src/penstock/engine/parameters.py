"""Arguments of flows: bound to names, checked against annotations, described as a schema, written as JSON."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from penstock.errors import ParameterError, did_you_mean

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The arguments by parameter name, defaults left out. Raises ParameterError that names the parameter of `what`."""
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ParameterError(f"Wrong call of {what}: {_explained(signature, kwargs, str(error))}") from None


def _explained(signature: inspect.Signature, kwargs: Mapping[str, Any], message: str) -> str:
    names = list(signature.parameters)
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    for name in kwargs:
        if name not in names and not takes_any:
            known = f" Its parameters: {', '.join(names)}" if names else " It has no parameters"
            return f"there is no parameter '{name}'.{did_you_mean(name, names)}{known}"
    return message


def with_defaults(signature: inspect.Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` and the defaults of the parameters that are not among them, in the order of the signature."""
    bound = signature.bind_partial()
    bound.arguments.update(arguments)
    bound.apply_defaults()
    return bound.arguments


def from_names(signature: inspect.Signature, given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Parameters given by name, as a deployment does, by parameter name.

    Raises ParameterError for an unknown or missing one.

    A ``**kwargs`` parameter takes those that have no place of their own, and may itself be given as an object.
    """
    names = signature.parameters
    catch_all = next((n for n, p in names.items() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in given.items():
        if name in names and name != catch_all:
            found[name] = tuple(value) if names[name].kind is inspect.Parameter.VAR_POSITIONAL else value
        elif catch_all is not None:
            extra.update(value if name == catch_all and isinstance(value, Mapping) else {name: value})
        else:
            raise ParameterError(f"Wrong parameters of {what}: {_explained(signature, {name: value}, '')}")
    if extra and catch_all is not None:
        found[catch_all] = extra
    missing = [n for n, p in names.items() if n not in found and p.default is p.empty and p.kind not in _VARIADIC]
    if missing:
        raise ParameterError(f"Wrong parameters of {what}: {_listed(missing)} without a value")
    return found


def _listed(names: list[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"parameter {quoted} is" if len(names) == 1 else f"parameters {quoted} are"


def as_call(signature: inspect.Signature, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by name as they are passed to the function."""
    bound = signature.bind_partial()
    bound.arguments.update(arguments)
    return bound.args, bound.kwargs


def annotations_of(fn: Callable[..., Any]) -> dict[str, Any]:
    """Parameter name -> its annotation, where it has one that can be evaluated."""
    raw = getattr(fn, "__annotations__", {})
    names = [name for name in raw if name != "return"]
    if not names:
        return {}
    try:
        found = typing.get_type_hints(fn, include_extras=True)
    except Exception:
        # Names that only a type checker sees: take those that are no text.
        found = {name: raw[name] for name in names if not isinstance(raw[name], str)}
    return {name: found[name] for name in names if name in found}


def validated(fn: Callable[..., Any], arguments: Mapping[str, Any], what: str) -> dict[str, Any]:
    """`arguments` as the annotations of `fn` want them: checked, and converted where that loses nothing.

    Raises ParameterError that names each wrong parameter and what is wrong with it.
    """
    annotations = annotations_of(fn)
    if not annotations:
        return dict(arguments)
    signature = inspect.signature(fn)
    found: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in arguments.items():
        annotation = annotations.get(name)
        if annotation is None or annotation is Any:
            found[name] = value
            continue
        found[name] = _validated_one(name, value, _whole(annotation, signature.parameters[name].kind), faults)
    if faults:
        raise ParameterError(f"Wrong parameters of {what}: {'; '.join(faults)}")
    return found


def _whole(annotation: Any, kind: Any) -> Any:
    """The type of the whole argument: ``*args: int`` is a tuple of int."""
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return tuple[annotation, ...]
    return dict[str, annotation] if kind is inspect.Parameter.VAR_KEYWORD else annotation


def _validated_one(name: str, value: Any, annotation: Any, faults: list[str]) -> Any:
    from pydantic import ValidationError

    adapter = _adapter(annotation)
    if adapter is None:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = ".".join([name, *map(str, fault["loc"])])
            faults.append(f"'{place}': {fault['msg']}, got {_short(fault['input'])}")
        return value


def _adapter(annotation: Any) -> Any:
    """A validator of that type, or None if there can be none: such arguments are passed as they are."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        pass  # the type brings its own configuration
    except Exception:
        return None
    try:
        return TypeAdapter(annotation)
    except Exception:
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def to_plain_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they are shown by the server. What JSON cannot hold is replaced by a note of its type."""
    from pydantic_core import from_json, to_json

    def note(value: Any) -> str:
        return f"<{type(value).__module__}.{type(value).__qualname__}: not kept>"

    found: dict[str, Any] = {}
    for name, value in parameters.items():
        try:
            found[name] = from_json(to_json(value, fallback=note, inf_nan_mode="strings", bytes_mode="base64"))
        except Exception:
            found[name] = note(value)
    return found


def parameter_schema(fn: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of the parameters of `fn`, in the shape that deployments keep.

    ``title``, ``type``, ``properties`` (each with its ``position``), ``required`` and ``definitions``; the last two
    are None when there is nothing to say. A parameter whose type has no schema accepts anything.
    """
    annotations = annotations_of(fn)
    signature = inspect.signature(fn).parameters
    types = {name: _whole(annotations.get(name, Any), parameter.kind) for name, parameter in signature.items()}
    schemas, definitions = _schemas_of(types)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for position, (name, parameter) in enumerate(signature.items()):
        entry: dict[str, Any] = {"title": name, **{k: v for k, v in schemas[name].items() if k != "title"}}
        if parameter.default is not parameter.empty:
            entry["default"] = to_plain_json({name: parameter.default})[name]
        elif parameter.kind not in _VARIADIC:
            required.append(name)
        properties[name] = {**entry, "position": position}
    return {
        "title": "Parameters",
        "type": "object",
        "properties": properties,
        "required": required or None,
        "definitions": definitions or None,
    }


def _schemas_of(types: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The schema of each type, and the definitions that they refer to."""
    adapters: list[tuple[str, Any]] = []
    for name, annotation in types.items():
        adapter = None if annotation is Any else _adapter(annotation)
        if adapter is not None and _has_schema(adapter):
            adapters.append((name, adapter))
    found: dict[str, dict[str, Any]] = {name: {} for name in types}
    if not adapters:
        return found, {}
    from pydantic import TypeAdapter

    schemas, whole = TypeAdapter.json_schemas(
        [(name, "validation", adapter) for name, adapter in adapters], ref_template="#/definitions/{model}"
    )
    found.update({name: schema for (name, _), schema in schemas.items()})
    return found, whole.get("$defs", {})


def _has_schema(adapter: Any) -> bool:
    try:
        adapter.json_schema()
    except Exception:
        return False
    return True
