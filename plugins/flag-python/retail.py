"""Amounts of money and moments, as the other languages' plugins of the retail example read them."""

import re
from dataclasses import dataclass

from pelton import Reject

_AMOUNT = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?|\.[0-9])[0-9_]*")
_MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# An amount is a whole number of 96 bits with up to 28 digits behind the point.
_MOST = 2**96 - 1
_LONGEST = len(str(_MOST))
_MOST_PLACES = 28


@dataclass
class Money:
    """An amount of money, exact to 28 digits: a whole number of units of ten to the power of -`places`."""

    amount: int
    places: int

    @classmethod
    def from_json(cls, value):
        if not isinstance(value, str):
            raise Reject(f"{value!r}, where an amount of money as a text is expected")
        if _AMOUNT.fullmatch(value):
            whole, _, fraction = value.replace("_", "").partition(".")
            digits = (whole + fraction).lstrip("+-0") or "0"
            if len(digits) <= _LONGEST and int(digits) <= _MOST and len(fraction) <= _MOST_PLACES:
                return cls(-int(digits) if value.startswith("-") else int(digits), len(fraction))
        raise Reject(f"{value!a} is no amount of money")

    def __str__(self) -> str:
        digits = str(abs(self.amount)).zfill(self.places + 1)
        point = len(digits) - self.places
        fraction = f".{digits[point:]}" if self.places else ""
        return f"{'-' if self.amount < 0 else ''}{digits[:point]}{fraction}"


@dataclass
class Moment:
    """A moment in UTC and to the second, such as 2010-12-01T08:26:00Z."""

    text: str

    @classmethod
    def from_json(cls, value):
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise Reject(f"{value!a} is no moment like 2010-12-01T08:26:00Z")
        return cls(value)

    @property
    def day(self) -> str:
        return self.text.partition("T")[0]
