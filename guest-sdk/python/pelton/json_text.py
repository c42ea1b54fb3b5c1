"""JSON in and out, as strict as JSON is: Python's own reader takes more."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

from .failure import Reject


def parse(what: str, data: bytes) -> Any:
    """Parses bytes; what is no JSON is rejected as a fault of `what`."""
    try:
        return json.loads(data.decode(), parse_constant=_no_number, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Reject(f"{what}: {error}") from None


def to_bytes(value: Any) -> bytes:
    """The bytes of `value`: its own if it is bytes, else JSON."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value, default=_fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass as an object, as it is read back."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} is no JSON: give text, numbers, booleans, lists, dicts or dataclasses")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate field `{next(name for name in names if names.count(name) > 1)}`")
    return result
