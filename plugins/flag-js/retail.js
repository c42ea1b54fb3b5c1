// Amounts of money and moments, as the other languages' plugins of the retail example read them.

import { Reject, string } from "pelton-sdk";

const AMOUNT = /^[+-]?(?:[0-9][0-9_]*\.?|\.[0-9])[0-9_]*$/;
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
/** An amount is a whole number of 96 bits with up to 28 digits behind the point. */
const MOST = 2n ** 96n - 1n;
const LONGEST = `${MOST}`.length;
const MOST_PLACES = 28;

/** Reads an amount of money, exact to 28 digits: its sign (-1, 0 or 1) and its text. */
export function money(value) {
  const amount = AMOUNT.test(string(value)) ? parse(value) : undefined;
  if (amount === undefined) throw new Reject(`${JSON.stringify(value)} is no amount of money`);
  return amount;
}

/** The amount of a text of the right form, or undefined if it is too much to hold. */
function parse(text) {
  const [whole, fraction = ""] = text.replace(/[+_-]/g, "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits.length > LONGEST || BigInt(digits) > MOST || fraction.length > MOST_PLACES) return undefined;
  const sign = digits === "" ? 0 : text.startsWith("-") ? -1 : 1;
  const padded = digits.padStart(fraction.length + 1, "0");
  const point = padded.length - fraction.length;
  return { sign, text: (sign < 0 ? "-" : "") + padded.slice(0, point) + (fraction && `.${padded.slice(point)}`) };
}

/** Reads a moment in UTC and to the second, such as 2010-12-01T08:26:00Z. */
export function moment(value) {
  if (!MOMENT.test(string(value))) throw new Reject(`${JSON.stringify(value)} is no moment like 2010-12-01T08:26:00Z`);
  return value;
}
