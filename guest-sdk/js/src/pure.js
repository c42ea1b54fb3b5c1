// What stands where a pure function has nothing: time is the event's, randomness is seeded by its id, what is printed goes
// to the log. What is left has no answer, and says so.

import { log, random } from "./host.js";

const Clock = Date;
/** The running event's time in milliseconds; none before the first. */
let now;

/** Begins an event. */
export const begin = (time) => {
  now = Clock.parse(time);
};

function time() {
  if (now === undefined) throw new Error("a plugin has no clock: event.time is there once there is an event");
  return now;
}

globalThis.Date = class Date extends Clock {
  constructor(...given) {
    if (given.length === 0) super(time());
    else super(...given);
  }

  static now() {
    return time();
  }
};

function bits() {
  if (now === undefined) throw new Error("a plugin has no randomness before there is an event, whose id seeds it");
  return random() >>> 0;
}

Math.random = () => bits() / 2 ** 32;

function getRandomValues(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let at = 0; at < bytes.length; at++) bytes[at] = bits();
  return array;
}

function randomUUID() {
  const bytes = getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const replace = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
replace("crypto", { getRandomValues, randomUUID });

const line = (write) => (...parts) => write(parts.map(shown).join(" "));
const shown = (part) => (typeof part === "object" && part !== null ? JSON.stringify(part) : String(part));
const { debug, info, warn, error } = log;
replace("console", { debug: line(debug), log: line(info), info: line(info), warn: line(warn), error: line(error) });

const missing = (what) => () => {
  throw new Error(`a plugin has no ${what}: it is a function from an event to effects`);
};
replace("fetch", missing("network"));
for (const timer of ["setTimeout", "setInterval", "queueMicrotask"]) replace(timer, missing("timers"));
