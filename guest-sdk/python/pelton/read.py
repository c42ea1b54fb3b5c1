"""Reads parsed JSON as a type: what does not fit is rejected, naming the place."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Callable, Union, get_args, get_origin, get_type_hints

from .failure import Reject

Reader = Callable[[Any], Any]

_INT64 = range(-(2**63), 2**63)


def reader(type_: Any) -> Reader:
    """What reads JSON as `type_`.

    That is `str`, `int` (64 bits), `float`, `bool`, `X | None`, `list[X]`, `dict[str, X]`, `Any`, a dataclass of such,
    or a class with a method `from_json` of its own, which takes parsed JSON and raises `Reject`.
    """
    simple = _SIMPLE.get(type_)
    if simple:
        return simple
    if hasattr(type_, "from_json"):
        return type_.from_json
    if is_dataclass(type_):
        return _dataclass(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        return _optional(*(argument for argument in arguments if argument is not NoneType))
    if origin is list:
        return _list(*arguments)
    if origin is dict and arguments[0] is str:
        return _dict(arguments[1])
    raise TypeError(f"{type_} cannot be read from JSON: use a dataclass, or a class with from_json")


def at(place: str, read: Reader, value: Any) -> Any:
    """Reads a part; what does not fit is rejected with the part's name before the reason."""
    try:
        return read(value)
    except Reject as error:
        raise Reject(f"{place}: {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _misfit(value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Reject("half of a character (a lone surrogate)") from None
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT64:
        raise _misfit(value, "a whole number of 64 bits")
    return value


def _float(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _misfit(value, "a number")
    return float(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _misfit(value, "true or false")
    return value


_SIMPLE: dict[Any, Reader] = {str: _text, int: _int, float: _float, bool: _bool, Any: lambda value: value}


def _optional(type_: Any) -> Reader:
    read = reader(type_)
    return lambda value: None if value is None else read(value)


def _list(type_: Any) -> Reader:
    read = reader(type_)

    def read_list(value: Any) -> list:
        if not isinstance(value, list):
            raise _misfit(value, "a list")
        return [at(str(index), read, item) for index, item in enumerate(value)]

    return read_list


def _dict(type_: Any) -> Reader:
    read = reader(type_)

    def read_dict(value: Any) -> dict:
        if not isinstance(value, dict):
            raise _misfit(value, "an object")
        return {_text(name): at(name, read, item) for name, item in value.items()}

    return read_dict


def _dataclass(type_: Any) -> Reader:
    hints = get_type_hints(type_)
    readers = {field.name: reader(hints[field.name]) for field in fields(type_)}
    optional = {name for name, hint in hints.items() if NoneType in get_args(hint)}
    bare = [field.name for field in fields(type_) if field.default is MISSING and field.default_factory is MISSING]
    required = [name for name in bare if name not in optional]
    absent = {name: None for name in bare if name in optional}

    def read_dataclass(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _misfit(value, "an object")
        found = {}
        for name, item in value.items():
            if name in readers:
                found[name] = at(name, readers[name], item)
            else:
                _text(name)
        for name in required:
            if name not in found:
                raise Reject(f"missing field `{name}`")
        return type_(**(absent | found))

    return read_dataclass


def _misfit(value: Any, expected: str) -> Reject:
    return Reject(f"{_kind(value)}, where {expected} is expected")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the text {value!a}" if isinstance(value, str) else str(value)
