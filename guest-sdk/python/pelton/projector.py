"""The role `projector`: folds events into views. It emits nothing, so it can be rebuilt at will."""

from collections.abc import Callable
from typing import Any

from wit_world.imports import types

from .effects import writes
from .role import Event, calls


def projector(run: Callable[[Event], Any]) -> Callable[[Event], Any]:
    """Makes `run` the module's projector. Its event is annotated `Event[P]`.

    `P` is what payloads are read as, or `bytes`; what does not fit is rejected before `run` sees it. `run` returns the
    writes as a list, yields them, or returns nothing.
    """
    call = calls(run, writes)

    class Projector:
        def project(self, event: types.Event) -> list[types.ViewWrite]:
            return call(event)

    # Where the bindings look for it.
    run.__globals__["Projector"] = Projector
    return run
