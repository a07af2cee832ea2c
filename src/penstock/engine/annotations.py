"""Marks around an argument of a task that change how it is treated."""

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Annotation(Generic[T]):
    """A value with a mark. `unwrap()` gives the value back."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        return self.value

    def rewrap(self, value: Any) -> "Annotation[Any]":
        """The same mark around another value."""
        return type(self)(value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Annotation) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), id(self.value)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(Annotation[T]):
    """In `task.map`: pass the value as it is to every call instead of one element to each."""

    __slots__ = ()


class allow_failure(Annotation[T]):
    """Run the task even if this upstream task failed; it then receives the exception in place of the result."""

    __slots__ = ()


class quote(Annotation[T]):
    """Do not look inside the value for futures: for large collections that hold none."""

    __slots__ = ()

    def unquote(self) -> T:
        return self.unwrap()
