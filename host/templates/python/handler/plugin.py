"""Counts the orders of each customer and announces each tenth."""

from dataclasses import dataclass

from pelton import Event, View, emit, handler

# How many orders each customer has placed.
counts = View("counts", int)


@dataclass
class Order:
    """What an event says. A payload that does not fit is rejected, with the field's name."""

    total: int


@handler
def handle(event: Event[Order]):
    """The plugin: a pure function from an event, and the views as they stand, to effects."""
    count = (counts.get(event.key) or 0) + 1
    yield counts.put(event.key, count)
    if count % 10 == 0:
        yield emit("rewards", "reward.earned", event.payload.total)
