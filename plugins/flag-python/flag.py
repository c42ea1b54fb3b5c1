"""The plugin `flag` in Python: announces cancelled invoices, once each, and every rule that an invoice line breaks."""

import re
from dataclasses import dataclass

from pelton import Event, View, emit, handler
from retail import Moment, Money

announced = View("cancelled")


@dataclass
class Line:
    invoice: str
    stock_code: str
    description: str
    quantity: int
    unit_price: Money
    customer: str | None
    country: str
    sold_at: Moment


@handler
def handle(event: Event[Line]):
    line = event.payload
    is_cancellation = line.invoice.startswith("C")
    if is_cancellation and announced.get(line.invoice) is None:
        yield cancelled(line)
        yield announced.put(line.invoice, True)
    for rule in broken(line, is_cancellation):
        yield flagged(rule, line)


def broken(line: Line, is_cancellation: bool) -> list[str]:
    """The names of the rules that a line breaks."""
    rules = {
        "negative-price": line.unit_price.amount < 0,
        "zero-price": line.unit_price.amount == 0,
        "negative-quantity": line.quantity < 0 and not is_cancellation,
        "stock-code": not re.match("[0-9]{5}", line.stock_code),
    }
    return [rule for rule, is_broken in rules.items() if is_broken]


def cancelled(line: Line):
    data = {
        "invoice": line.invoice,
        "day": line.sold_at.day,
        "country": line.country,
        "customer": line.customer,
    }
    return emit("invoices", "invoice.cancelled", data, key=line.invoice)


def flagged(rule: str, line: Line):
    data = {
        "rule": rule,
        "invoice": line.invoice,
        "stock_code": line.stock_code,
        "quantity": line.quantity,
        "unit_price": str(line.unit_price),
    }
    return emit("lines", "line.flagged", data, key=line.invoice)
