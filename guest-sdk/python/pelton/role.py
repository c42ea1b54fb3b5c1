"""What all roles have in common: from the event that the host sends to the answer that it commits."""

from dataclasses import dataclass
from traceback import extract_tb
from typing import Any, Callable, Generic, TypeVar, get_args, get_type_hints

from componentize_py_types import Err
from wit_world.imports import types

from . import log
from .failure import Reject, Retry
from .json_text import parse
from .read import Reader, at, reader

P = TypeVar("P")
A = TypeVar("A")


@dataclass
class Event(Generic[P]):
    """What a plugin gets. The fields are those of the WIT's `event`, whose bytes are the payload here, read as `P`."""

    id: str
    source: str
    kind: str
    subject: str | None
    key: str
    stream: str
    sequence: int
    time: str
    content_type: str
    correlation: str
    causation: str | None
    attributes: list[types.Attribute]
    payload: P

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name, or None."""
        return next((found.value for found in self.attributes if found.name == name), None)


def calls(run: Callable[[Event], Any], answer: Callable[[Any], A]) -> Callable[[types.Event], A]:
    """What the host calls: hands the event to `run`, and has `answer` make what the host wants of what that returned."""
    payload = _payload(run)

    def call(event: types.Event) -> A:
        try:
            return answer(run(_event(event, payload)))
        except Reject as error:
            raise Err(types.Failure_Reject(str(error))) from None
        except Retry as error:
            raise Err(types.Failure_Retry(error.milliseconds)) from None
        except Exception as error:
            place = extract_tb(error.__traceback__)[-1]
            log.error(f"{type(error).__name__}: {error} ({place.filename.rsplit('/', 1)[-1]}:{place.lineno})")
            raise

    return call


def _payload(run: Callable) -> Reader:
    """What turns an event's bytes into the payload that `run` asks for."""
    hints = [hint for name, hint in get_type_hints(run).items() if name != "return"]
    arguments = get_args(hints[0]) if hints else ()
    if not arguments:
        raise TypeError(f"{run.__name__} must say what its payload is: annotate its argument as Event[...]")
    if arguments[0] is bytes:
        return lambda data: data
    read = reader(arguments[0])
    return lambda data: at("payload", read, parse("payload", data))


def _event(event: types.Event, payload: Reader) -> Event:
    values = vars(event).copy()
    data = values.pop("data")
    values["sequence"] = int(event.sequence)
    return Event(**values, payload=payload(data))
