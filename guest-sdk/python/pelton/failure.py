"""Why an input was not processed: what a plugin raises.

Anything else that it raises is a fault of the plugin, ends the instance, and is a dead letter too.
"""


class Reject(Exception):
    """Never: this input cannot be processed, for this reason. It becomes a dead letter."""


class Retry(Exception):
    """Not now: run the same input again, after this many milliseconds if given. Later inputs of its lane wait."""

    def __init__(self, milliseconds: int | None = None):
        super().__init__(milliseconds)
        self.milliseconds = milliseconds
