"""What a plugin returns: events to publish and view writes."""

from collections.abc import Iterable
from typing import Any

from wit_world.imports.types import Attribute, Effects, Emitted, ViewWrite

from .json_text import to_bytes


def emit(
    category: str,
    kind: str,
    data: Any,
    *,
    key: str | None = None,
    subject: str | None = None,
    content_type: str = "application/json",
    attributes: dict[str, str] | None = None,
) -> Emitted:
    """An event of the CloudEvents type `kind` in `category`, one of those that the module may emit.

    `data` becomes JSON, or is taken as it is if it is bytes. The key is the input's, unless `key` says another.
    """
    extensions = [Attribute(name, value) for name, value in (attributes or {}).items()]
    return Emitted(category, key, kind, subject, content_type, extensions, to_bytes(data))


def effects(parts: Iterable[Emitted | ViewWrite] | None) -> Effects:
    """The effects as the host wants them, of what a handler returned or yielded."""
    result = Effects([], [], [])
    for part in parts or ():
        if isinstance(part, Emitted):
            result.events.append(part)
        elif isinstance(part, ViewWrite):
            result.writes.append(part)
        else:
            raise TypeError(f"a handler returns what emit(), put() and delete() give, not {part!r}")
    return result


def writes(parts: Iterable[ViewWrite] | None) -> list[ViewWrite]:
    """The view writes as the host wants them, of what a projector returned or yielded."""
    result = []
    for part in parts or ():
        if not isinstance(part, ViewWrite):
            raise TypeError(f"a projector returns what put() and delete() give, not {part!r}")
        result.append(part)
    return result
