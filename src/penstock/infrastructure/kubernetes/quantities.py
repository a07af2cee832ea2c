"""Amounts as Kubernetes writes them: ``500m`` of a CPU, ``2Gi`` of memory. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import did_you_mean

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_POWERS = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"
#: Resources that are counted in bytes: a thousandth of one is a typing error.
_IN_BYTES = re.compile(r"memory|ephemeral-storage|hugepages-.*")
_SIDES = ("requests", "limits")
#: What Kubernetes itself counts; what others do has a domain before it, as in ``nvidia.com/gpu``.
_COUNTED = ("cpu", "memory", "ephemeral-storage")
#: ``4gi`` can only mean one thing, and Kubernetes takes no other spelling than that.
_MISSPELT = re.compile(rf"(\d+\.?\d*|\.\d+)([{_BINARY}])I", re.IGNORECASE)


def read_resources(value: Any) -> Any:
    """`value` with amounts as Kubernetes spells them: also those that YAML or JSON took for numbers, and ``4gi``."""
    if not isinstance(value, Mapping):
        return value
    return {
        side: {name: _text(amount) for name, amount in amounts.items()} if isinstance(amounts, Mapping) else amounts
        for side, amounts in value.items()
    }


def check_resources(resources: Mapping[str, Any], place: str = "resources") -> None:
    """Raise ValueError for what is no amount or no resource, or a request that is larger than its limit."""
    for side in _SIDES:
        amounts = resources.get(side)
        if not isinstance(amounts, Mapping | None):
            raise ValueError(f"{place}.{side} is a mapping such as {{'cpu': '1', 'memory': '2Gi'}}.")
        for name, amount in (amounts or {}).items():
            _check_resource(str(name), f"{place}.{side}")
            _check_amount(str(name), amount, f"{place}.{side}.{name}")
    requests, limits = (resources.get(side) or {} for side in _SIDES)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None or holds_reference(amount) or holds_reference(limit):
            continue
        if quantity(amount) > quantity(limit):
            raise ValueError(f"{place}.requests.{name} is {amount}, more than its limit, {limit}.")


def quantity(text: str) -> Decimal:
    """The number that `text` means. Raises ValueError if it is no quantity."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount such as 500m, 1, 1.5, 128Mi or 2Gi.")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix.endswith("i"):
        return number * Decimal(1024 ** (_BINARY.index(suffix[0]) + 1))
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(_POWERS[suffix]) if suffix else number


def _check_resource(name: str, place: str) -> None:
    if "/" not in name and name not in _COUNTED and not name.startswith("hugepages-"):
        raise ValueError(
            f"{place}: Kubernetes has no resource {name!r}.{did_you_mean(name, _COUNTED)} There are "
            f"{', '.join(_COUNTED)}, and others with a domain, such as nvidia.com/gpu."
        )


def _check_amount(name: str, amount: Any, place: str) -> None:
    if not isinstance(amount, str):
        raise ValueError(f"{place} is {amount!r}; an amount is a text or a number.")
    if holds_reference(amount):
        return
    try:
        number = quantity(amount)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if number < 0:
        raise ValueError(f"{place} is {amount}, less than nothing.")
    if _IN_BYTES.fullmatch(name) and amount.endswith("m"):
        raise ValueError(f"{place} is {amount}, thousandths of a byte. Did you mean {amount[:-1]}Mi?")


def _text(amount: Any) -> Any:
    if isinstance(amount, int | float) and not isinstance(amount, bool):
        return str(amount)
    found = _MISSPELT.fullmatch(amount) if isinstance(amount, str) else None
    return f"{found[1]}{found[2].upper()}i" if found else amount
