"""What flows and tasks are made of: a function, and what was said about how to run it.

Imports nothing heavy: every program pays for it.
"""

from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Self, TypeVar

from penstock.errors import ConfigurationError
from penstock.sdk.options import Check, check_names
from penstock.sdk.pickling import global_name

if TYPE_CHECKING:
    from inspect import Signature

P = ParamSpec("P")
R = TypeVar("R")

#: Flags of a function's code: ``async def``, and a ``yield`` in it.
_COROUTINE = 0x80 | 0x100
_GENERATOR, _ASYNC_GENERATOR = 0x20, 0x200
#: Characters that stand for something else in paths and queries; the server refuses them in names.
_BANNED = "/%&><"
#: Keywords of a call that are for Penstock, not for the function.
_RESERVED = ("return_state", "wait_for")


class Decorated(Generic[P, R]):
    """A function with options: the common part of `Flow` and `Task`.

    Below a class it behaves like the function: ``obj.method(…)`` passes `obj` on, which is no parameter then. Class
    methods and static methods are decorated on either side of ``@classmethod`` and ``@staticmethod``.
    """

    #: "flow" or "task"
    _kind: ClassVar[str]
    #: option -> how its value is checked
    _checks: ClassVar[Mapping[str, Check]]
    #: option -> attribute in which it is kept, if that is not called like it
    _kept_as: ClassVar[Mapping[str, str]] = {}
    #: options that `with_options` sets to None if None is given; for all others that means: as it was
    _resettable: ClassVar[frozenset[str]]

    name: str
    description: str | None

    def __init__(self, fn: Callable[P, R], **options: Any) -> None:
        check_names(options, self._checks, f"@{self._kind}")
        #: of a decorated class method or static method: what it was
        self._wrapper: type | None = type(fn) if isinstance(fn, classmethod | staticmethod) else None
        function: Callable[..., Any] = fn.__func__ if isinstance(fn, classmethod | staticmethod) else fn
        check_function(function, self._kind)
        update_wrapper(self, function)  # type: ignore[arg-type]
        self.fn = function
        for option, check in self._checks.items():
            setattr(self, self._kept_as.get(option, option), check(options.get(option), option))
        self.name = name_of(function, options.get("name"), self._kind)
        self.description = description_of(function, options.get("description"))
        self.isasync = is_async(function)
        self._signature: Signature | None = None
        self._method_signature: Signature | None = None

    @property
    def signature(self) -> "Signature":
        """The parameters of a call: those of the function, without the `self` of a bound method."""
        if self._signature is None:
            self._signature = signature_of(self.fn)
        return self._signature

    def _with_options(self, changes: Mapping[str, Any]) -> Self:
        check_names(changes, self._checks, f"@{self._kind}")
        options = {option: getattr(self, self._kept_as.get(option, option)) for option in self._checks}
        options.update({o: value for o, value in changes.items() if value is not None or o in self._resettable})
        made = type(self)(self.fn, **options)
        made._wrapper = self._wrapper
        return made

    def _bound(self, instance: object, owner: type | None) -> Self:
        """As found in a class (`instance` is None) or in an object of it: with what a method passes on by itself."""
        if self._wrapper is staticmethod:
            return self
        target = (owner if owner is not None else type(instance)) if self._wrapper is classmethod else instance
        if target is None:
            return self
        if self._method_signature is None:
            self._method_signature = _without_first(self.signature)
        bound = object.__new__(type(self))
        method = MethodType(self.fn, target)
        vars(bound).update(
            vars(self), fn=method, __wrapped__=method, _signature=self._method_signature, _wrapper=staticmethod
        )
        return bound

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        return global_name(self) or super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _without_first(signature: "Signature") -> "Signature":
    parameters = list(signature.parameters.values())
    taken = parameters[1:] if parameters and parameters[0].kind is not parameters[0].VAR_POSITIONAL else parameters
    return signature.replace(parameters=taken)


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives something to await."""
    return bool(_flags(fn) & _COROUTINE)


def _flags(fn: Callable[..., Any]) -> int:
    while isinstance(fn, partial):
        fn = fn.func
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None) or getattr(vars(type(fn)).get("__call__"), "__code__", None)
    return code.co_flags if code is not None else 0


def check_function(fn: Any, what: str) -> None:
    """Raises TypeError if `fn`, given to the decorator `what`, cannot be one's function."""
    if not callable(fn):
        raise TypeError(f"@{what} was given {type(fn).__name__}; it must decorate a function")
    if isinstance(fn, Decorated):
        raise TypeError(f"@{what} was given {fn!r}; a function is decorated once. Its function is {fn.name}.fn")
    if _flags(fn) & (_GENERATOR | _ASYNC_GENERATOR):
        raise TypeError(
            f"@{what} was given {getattr(fn, '__name__', fn)!r}, a generator: there is a 'yield' in it, so calling it runs "
            f"nothing. Collect what it yields in a list and return that."
        )
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
    for name in _RESERVED:
        if name in names:
            raise TypeError(
                f"@{what} was given a function with a parameter {name!r}, which is a keyword of every call of a {what}. "
                "Give the parameter another name."
            )


def name_of(fn: Callable[..., Any], name: str | None, what: str) -> str:
    """`name`, or one made from the function's. Raises ConfigurationError if the server would refuse it."""
    if name is None:
        plain = getattr(fn, "__name__", None)
        if plain is None:
            raise ConfigurationError(f"@{what} was given {fn!r}, which has no name", hint=f"Say @{what}(name=...).")
        name = "lambda" if plain == "<lambda>" else plain.replace("_", "-") if what == "flow" else plain
    banned = sorted({c for c in name if c in _BANNED})
    if banned or not name.strip():
        fault = f"contains {' '.join(banned)}" if banned else "is empty"
        raise ConfigurationError(f"The {what} name {name!r} {fault}; names may not contain any of / % & > <")
    return name


def description_of(fn: Callable[..., Any], description: str | None) -> str | None:
    """`description`, or the function's docstring without its indentation."""
    text = description if description is not None else getattr(fn, "__doc__", None)
    if not text:
        return None
    from inspect import cleandoc

    return cleandoc(text)


def signature_of(fn: Callable[..., Any]) -> "Signature":
    from inspect import signature

    return signature(fn)


def file_hash(fn: Callable[..., Any]) -> str | None:
    """32 hexadecimal digits that change with the file in which `fn` is defined; None if there is no such file."""
    import hashlib

    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(fn, "__code__", None)
    try:
        with open(code.co_filename, "rb") as file:  # type: ignore[union-attr]
            return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except (OSError, AttributeError):
        return None
