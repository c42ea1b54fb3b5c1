// What the host offers besides views: log lines, settings, randomness.

import { get as setting } from "pelton:plugin/config@0.1.0";
import { log as write } from "pelton:plugin/log@0.1.0";
import { next } from "pelton:plugin/random@0.1.0";

/** Lines for the operator's log. They are no effect: a line may be dropped or repeated. */
export const log = {
  debug: (message) => write("debug", String(message)),
  info: (message) => write("info", String(message)),
  warn: (message) => write("warn", String(message)),
  error: (message) => write("error", String(message)),
};

/** The module's setting of that name, or undefined. */
export const config = (name) => setting(name);

/** The next 32 random bits, as a whole number. The seed is the event's id, so that a second run gives the same. */
export const random = () => next();
