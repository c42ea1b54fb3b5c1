// The plugin `flag` in JavaScript: announces cancelled invoices, once each, and every rule that an invoice line breaks.

import { View, emit, handle, int64, object, optional, string } from "pelton-sdk";
import { moment, money } from "./retail.js";

const announced = new View("cancelled");

const line = object({
  invoice: string,
  stock_code: string,
  description: string,
  quantity: int64,
  unit_price: money,
  customer: optional(string),
  country: string,
  sold_at: moment,
});

export const handler = handle(line, ({ payload: line }) => {
  const effects = [];
  const isCancellation = line.invoice.startsWith("C");
  if (isCancellation && announced.get(line.invoice) === undefined) {
    effects.push(cancelled(line), announced.put(line.invoice, true));
  }
  for (const rule of broken(line, isCancellation)) effects.push(flagged(rule, line));
  return effects;
});

/** The names of the rules that a line breaks. */
function broken({ unit_price, quantity, stock_code }, isCancellation) {
  const rules = {
    "negative-price": unit_price.sign < 0,
    "zero-price": unit_price.sign === 0,
    "negative-quantity": quantity < 0 && !isCancellation,
    "stock-code": !/^[0-9]{5}/.test(stock_code),
  };
  return Object.keys(rules).filter((rule) => rules[rule]);
}

function cancelled({ invoice, sold_at, country, customer = null }) {
  const data = { invoice, day: sold_at.split("T")[0], country, customer };
  return emit("invoices", "invoice.cancelled", data, { key: invoice });
}

function flagged(rule, { invoice, stock_code, quantity, unit_price }) {
  const data = { rule, invoice, stock_code, quantity, unit_price: unit_price.text };
  return emit("lines", "line.flagged", data, { key: invoice });
}
