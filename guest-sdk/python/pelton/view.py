"""A view of the module, as a typed map from keys to values."""

from typing import Any, Generic, TypeVar

from wit_world.imports import views
from wit_world.imports.types import Change_Delete, Change_Put, ViewWrite

from .json_text import parse, to_bytes
from .read import at, reader

T = TypeVar("T")


class View(Generic[T]):
    """One of the module's views, whose values are `type_` as JSON.

    With more than one lane, a key must equal the event's key or begin with it and `/`.
    """

    def __init__(self, name: str, type_: type[T] = Any):
        self._name = name
        self._read = reader(type_)

    def get(self, key: str) -> T | None:
        """The value under `key`, or None. Sees the lane's own earlier writes, but none of the current call.

        A value that does not fit the type is a rejection.
        """
        data = views.get(self._name, key)
        if data is None:
            return None
        place = f"view {self._name}, key {key}"
        return at(place, self._read, parse(place, data))

    def get_raw(self, key: str) -> bytes | None:
        """The bytes under `key`, or None."""
        return views.get(self._name, key)

    def put(self, key: str, value: T | bytes) -> ViewWrite:
        """The write that puts `value` under `key`: as JSON, or as it is if it is bytes."""
        return ViewWrite(self._name, key, Change_Put(to_bytes(value)), [])

    def delete(self, key: str) -> ViewWrite:
        """The write that removes `key`."""
        return ViewWrite(self._name, key, Change_Delete(), [])
