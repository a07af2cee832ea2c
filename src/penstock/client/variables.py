"""Calls about variables: small texts with names."""

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from penstock.client.call import Call, given, nothing, segment, whole_number

if TYPE_CHECKING:
    from penstock.model.variables import Variable, VariableCreate, VariableUpdate


def create_variable(variable: "VariableCreate") -> "Call[Variable]":
    """Raises Conflict when sent if there is a variable of that name.

    It carries an id, so that the server knows it again when it is repeated.
    """
    body = variable if variable.id is not None else variable.model_copy(update={"id": uuid4()})
    return Call("POST", "/variables/", _variable, body=body)


def read_variable(variable_id: UUID) -> "Call[Variable]":
    return Call("GET", f"/variables/{segment(variable_id)}", _variable)


def read_variable_by_name(name: str) -> "Call[Variable]":
    """Raises NotFound when sent, with the nearest name."""
    return Call("GET", f"/variables/name/{segment(name)}", _variable)


def read_variables(
    *,
    variable_filter: dict[str, Any] | None = None,
    sort: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> "Call[list[Variable]]":
    """Variables that fit the filter, which has the shape of the API. `sort` is a `VariableSort`."""
    body = given(variables=variable_filter, sort=sort, limit=limit, offset=offset)
    return Call("POST", "/variables/filter", _variables, body=body)


def count_variables(*, variable_filter: dict[str, Any] | None = None) -> Call[int]:
    return Call("POST", "/variables/count", whole_number, body=given(variables=variable_filter))


def update_variable(variable_id: UUID, variable: "VariableUpdate") -> Call[None]:
    """Change the fields that `variable` sets."""
    return Call("PATCH", f"/variables/{segment(variable_id)}", nothing, body=variable, partial=True)


def update_variable_by_name(name: str, variable: "VariableUpdate") -> Call[None]:
    """Change the fields that `variable` sets. Raises NotFound when sent."""
    return Call("PATCH", f"/variables/name/{segment(name)}", nothing, body=variable, partial=True)


def delete_variable(variable_id: UUID) -> Call[None]:
    return Call("DELETE", f"/variables/{segment(variable_id)}", nothing)


def delete_variable_by_name(name: str) -> Call[None]:
    """Raises NotFound when sent."""
    return Call("DELETE", f"/variables/name/{segment(name)}", nothing)


def _variable() -> "type[Variable]":
    from penstock.model.variables import Variable

    return Variable


def _variables() -> "type[list[Variable]]":
    from penstock.model.variables import Variable

    return list[Variable]
