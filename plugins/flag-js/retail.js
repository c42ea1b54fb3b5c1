// Amounts of money and moments, as the other languages' plugins of the retail example read them.

import { Reject, string } from "pelton-sdk";

const AMOUNT = /^[+-]?(?:[0-9][0-9_]*\.?|\.[0-9])[0-9_]*$/;
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
/** An amount is a whole number of 96 bits with up to 28 digits behind the point. */
const MOST = 2n ** 96n - 1n;
const MOST_DIGITS = 28;

/** Reads an amount of money, exact to 28 digits: its sign (-1, 0 or 1) and its text. */
export function money(value) {
  const isAmount = AMOUNT.test(string(value));
  const [whole, fraction = ""] = isAmount ? value.replace(/[+_-]/g, "").split(".") : [];
  const amount = isAmount ? BigInt(whole + fraction) : undefined;
  if (!isAmount || amount > MOST || fraction.length > MOST_DIGITS) {
    throw new Reject(`${JSON.stringify(value)} is no amount of money`);
  }
  const sign = amount === 0n ? 0 : value.startsWith("-") ? -1 : 1;
  const digits = amount.toString().padStart(fraction.length + 1, "0");
  const point = digits.length - fraction.length;
  return { sign, text: (sign < 0 ? "-" : "") + digits.slice(0, point) + (fraction && `.${digits.slice(point)}`) };
}

/** Reads a moment in UTC and to the second, such as 2010-12-01T08:26:00Z. */
export function moment(value) {
  if (!MOMENT.test(string(value))) throw new Reject(`${JSON.stringify(value)} is no moment like 2010-12-01T08:26:00Z`);
  return value;
}
