"""What the tables of options have in common: a row is an option, a value, and what can be seen of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: Makes something with these options, uses it, and returns what can be seen.
Observe = Callable[..., Any]


@dataclass
class Row:
    """`observe` gives `seen` when `option` has `value`, and something else when it is left out.

    `others` are options that both have, for what `option` means only together with them.
    """

    option: str
    value: Any
    observe: Observe
    seen: Any
    others: dict[str, Any] = field(default_factory=dict)

    def check(self, accounts: Any) -> None:
        with_it = self.observe(accounts, **self.others, **{self.option: self.value})
        without = self.observe(accounts, **self.others)
        assert with_it == self.seen
        assert without != self.seen
