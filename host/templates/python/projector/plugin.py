"""Counts the orders of each customer."""

from dataclasses import dataclass

from pelton import Event, View, projector

# How many orders each customer has placed.
counts = View("counts", int)


@dataclass
class Order:
    """What an event says. A payload that does not fit is rejected, with the field's name."""

    total: int


@projector
def project(event: Event[Order]):
    """The plugin: a pure function from an event, and the views as they stand, to view writes."""
    count = (counts.get(event.key) or 0) + 1
    yield counts.put(event.key, count)
