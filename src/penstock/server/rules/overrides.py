"""Whether overrides name fields that infrastructure of a type has. Pure.

The first part of each name is judged, by all schemas of the type that were ever saved: agents, which have the classes, judge
the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.errors import Invalid, did_you_mean
from penstock.model.base import JSONObject


def refuse_unknown_overrides(overrides: Mapping[str, Any], schemas: Iterable[JSONObject], place: str) -> None:
    """Raise Invalid, with the nearest name, for an override of a field that there is not.

    Infrastructure without a known schema takes all names. `place` says in the error where the overrides stand.
    """
    known = {name for schema in schemas for name in schema.get("properties") or ()}
    if not known:
        return
    for key in overrides:
        name = key.partition(".")[0]
        if name not in known:
            raise Invalid(
                f"{place}: {key!r} cannot be set: the infrastructure has no field {name!r}.{did_you_mean(name, known)}",
                code="unknown_override",
                hint=f"Its fields: {', '.join(sorted(known))}.",
                status=422,
            )
