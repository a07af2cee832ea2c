"""Variables: small texts with names, kept by the server, which every run can read."""

from collections.abc import Iterable
from typing import Any, Self

from penstock.client import variables
from penstock.errors import Conflict, NotFound
from penstock.model.variables import Variable as Record
from penstock.model.variables import VariableCreate, VariableUpdate
from penstock.sdk.asking import ask, request
from penstock.sdk.sync_compatible import asynchronous, sync_compatible


class Variable(Record):
    """A variable as it was when it was read: `name`, `value`, `tags`.

        Variable.set("greeting", "hello")
        Variable.get("greeting").value

    `get`, `set` and `unset` are to be awaited in asynchronous code; `aget`, `aset` and `aunset` always are.
    """

    @classmethod
    @sync_compatible
    def get(cls, name: str, default: Any = None) -> Any:
        """The variable called `name`, or `default` if there is none."""
        return cls._get(name, default)

    @classmethod
    async def aget(cls, name: str, default: Any = None) -> Any:
        """`get`, for asynchronous code."""
        return await asynchronous(cls._get)(name, default)

    @classmethod
    @sync_compatible
    def set(cls, name: str, value: str, tags: Iterable[str] | None = None, overwrite: bool = False) -> Self:
        """Keep `value` under `name`: lowercase letters, digits, underscores and dashes; at most 5000 characters of value.

        Raises Conflict if there is such a variable, unless it may be overwritten, value and tags; Invalid for a name or
        value that cannot be.
        """
        return cls._set(name, value, tags, overwrite)

    @classmethod
    async def aset(cls, name: str, value: str, tags: Iterable[str] | None = None, overwrite: bool = False) -> Self:
        """`set`, for asynchronous code."""
        return await asynchronous(cls._set)(name, value, tags, overwrite)

    @classmethod
    @sync_compatible
    def unset(cls, name: str) -> bool:
        """Delete the variable called `name`. Returns whether there was one."""
        return _unset(name)

    @classmethod
    async def aunset(cls, name: str) -> bool:
        """`unset`, for asynchronous code."""
        return await asynchronous(_unset)(name)

    @classmethod
    def _get(cls, name: str, default: Any) -> Any:
        try:
            return cls._of(ask(variables.read_variable_by_name(name)))
        except NotFound:
            return default

    @classmethod
    def _set(cls, name: str, value: str, tags: Iterable[str] | None, overwrite: bool) -> Self:
        asked = request(VariableCreate, name=name, value=value, tags=list(tags or ()))
        try:
            return cls._of(ask(variables.create_variable(asked)))
        except Conflict:
            if not overwrite:
                raise Conflict(
                    f"There is a variable {name!r} already.",
                    code="variable_exists",
                    hint="Set it with overwrite=True, or choose another name.",
                    status=409,
                ) from None
        change = VariableUpdate(value=asked.value, tags=asked.tags)
        ask(variables.update_variable_by_name(name, change))
        return cls._of(ask(variables.read_variable_by_name(name)))

    @classmethod
    def _of(cls, record: Record) -> Self:
        return cls.model_validate(record.model_dump())


def _unset(name: str) -> bool:
    try:
        ask(variables.delete_variable_by_name(name))
    except NotFound:
        return False
    return True


def _value(name: str, default: Any) -> Any:
    found = Variable._get(name, None)
    return default if found is None else found.value


@sync_compatible
def get(name: str, default: Any = None) -> Any:
    """The value of the variable called `name`, or `default` if there is none. To be awaited in asynchronous code."""
    return _value(name, default)


async def aget(name: str, default: Any = None) -> Any:
    """`get`, for asynchronous code."""
    return await asynchronous(_value)(name, default)
