"""Lines for the operator's log. They are no effect: a line may be dropped or repeated."""

from wit_world.imports import log
from wit_world.imports.log import Level


def debug(message: object) -> None:
    log.log(Level.DEBUG, str(message))


def info(message: object) -> None:
    log.log(Level.INFO, str(message))


def warn(message: object) -> None:
    log.log(Level.WARN, str(message))


def error(message: object) -> None:
    log.log(Level.ERROR, str(message))
