"""What the host offers besides views and log lines: settings and randomness."""

from wit_world.imports import config as settings
from wit_world.imports import random as bits


def config(name: str) -> str | None:
    """The module's setting of that name, or None."""
    return settings.get(name)


def random() -> int:
    """The next 32 random bits. The seed is the event's id, so that a second run gives the same.

    Python's own `random` is no substitute: its seed was drawn when the plugin was built or started.
    """
    return bits.next()
