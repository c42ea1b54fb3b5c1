"""Write Pelton plugins in Python: all that a plugin imports.

A plugin is a pure function: it gets an event and read access to its own views, and returns effects. The host commits
all that it returns exactly once, or nothing. It has no clock, no randomness of its own, no network and no files. This
is a complete one, which counts the orders of each customer and announces each tenth:

    from dataclasses import dataclass
    from pelton import Event, View, emit, handler

    counts = View("counts", int)

    @dataclass
    class Order:
        total: int

    @handler
    def handle(event: Event[Order]):
        count = (counts.get(event.key) or 0) + 1
        yield counts.put(event.key, count)
        if count % 10 == 0:
            yield emit("rewards", "reward.earned", event.payload.total)
"""

from . import log
from .effects import emit
from .failure import Reject, Retry
from .handler import handler
from .host import config, random
from .projector import projector
from .role import Event
from .view import View

__all__ = ["Event", "Reject", "Retry", "View", "config", "emit", "handler", "log", "projector", "random"]
