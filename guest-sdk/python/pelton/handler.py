"""The role `handler`: answers an event with events and view writes."""

from collections.abc import Callable
from typing import Any

from wit_world.imports import types

from .effects import effects
from .role import Event, calls


def handler(run: Callable[[Event], Any]) -> Callable[[Event], Any]:
    """Makes `run` the module's handler. Its event is annotated `Event[P]`.

    `P` is what payloads are read as, or `bytes`; what does not fit is rejected before `run` sees it. `run` returns the
    effects as a list, yields them, or returns nothing.
    """
    call = calls(run, effects)

    class Handler:
        def handle(self, event: types.Event) -> types.Effects:
            return call(event)

    # Where the bindings look for it.
    run.__globals__["Handler"] = Handler
    return run
