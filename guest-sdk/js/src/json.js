// JSON in and out, without losing whole numbers that a JavaScript number does not hold: those are BigInts.

import { Reject } from "./failure.js";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
/** Sixteen digits in a row: there may be a number beyond 2^53. */
const MANY_DIGITS = /\d{16}/;
/** A whole number that 64 bits may hold. More digits are not worth the work. */
const WHOLE = /^-?\d{1,19}$/;

BigInt.prototype.toJSON = function () {
  return JSON.rawJSON(this.toString());
};

/** Parses bytes; what is no JSON is rejected as a fault of `what`. */
export function parse(what, bytes) {
  let text;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Reject(`${what}: not UTF-8`);
  }
  try {
    return MANY_DIGITS.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
  } catch (error) {
    throw new Reject(`${what}: ${error.message}`);
  }
}

function exact(_, value, context) {
  const rounded = typeof value === "number" && !Number.isSafeInteger(value);
  return rounded && WHOLE.test(context.source) ? BigInt(context.source) : value;
}

/** The bytes of `value`: its own if it is bytes, else JSON. */
export function bytes(what, value) {
  if (value instanceof Uint8Array) return value;
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${what}: a ${typeof value} is no JSON`);
  return encoder.encode(text);
}
