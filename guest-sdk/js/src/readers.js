// Readers say what a payload looks like. A reader is a function from parsed JSON to what the plugin works with; what
// does not fit it throws a Reject, and the readers around it name the place. Any function of that kind is a reader.

import { Reject } from "./failure.js";

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** Any JSON, as it is. */
export const any = (value) => value;

/** A text. */
export function string(value) {
  if (typeof value !== "string") throw misfit(value, "a text");
  if (!value.isWellFormed()) throw new Reject("half of a character (a lone surrogate)");
  return value;
}

/** True or false. */
export function boolean(value) {
  if (typeof value !== "boolean") throw misfit(value, "true or false");
  return value;
}

/** A number. */
export function number(value) {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "number") throw misfit(value, "a number");
  return value;
}

/** A whole number within what a number holds exactly, which is 2^53. */
export function integer(value) {
  if (!Number.isSafeInteger(value)) throw misfit(value, "a whole number up to 2^53");
  return value;
}

/** A whole number of 64 bits, as a BigInt. */
export function int64(value) {
  const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!isWhole || value < LEAST || value > MOST) throw misfit(value, "a whole number of 64 bits");
  return BigInt(value);
}

/** What `reader` reads, or undefined where there is null or nothing. */
export function optional(reader) {
  const read = (value) => (value === null || value === undefined ? undefined : reader(value));
  read.optional = true;
  return read;
}

/** A list of what `reader` reads. */
export function list(reader) {
  return (value) => {
    if (!Array.isArray(value)) throw misfit(value, "a list");
    return value.map((item, index) => at(index, reader, item));
  };
}

/** An object with these fields; it may have others, which are left out. */
export function object(fields) {
  const readers = new Map(Object.entries(fields));
  const required = Object.keys(fields).filter((name) => !fields[name].optional);
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw misfit(value, "an object");
    const result = {};
    for (const name of Object.keys(value)) {
      const reader = readers.get(name);
      if (reader) result[name] = at(name, reader, value[name]);
      else string(name);
    }
    const missing = required.find((name) => !Object.hasOwn(result, name));
    if (missing !== undefined) throw new Reject(`missing field \`${missing}\``);
    return result;
  };
}

/** Stands in place of a reader for payloads that are no JSON: the plugin gets the bytes. */
export const raw = Symbol("raw");

/** Reads a part; what does not fit is rejected with the part's name before the reason. */
export function at(name, reader, value) {
  try {
    return reader(value);
  } catch (error) {
    if (!(error instanceof Reject)) throw error;
    throw new Reject(`${name}: ${error.message}`);
  }
}

function misfit(value, expected) {
  return new Reject(`${kind(value)}, where ${expected} is expected`);
}

function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return `the text ${JSON.stringify(value)}`;
  return typeof value === "object" ? "an object" : `${value}`;
}
