// What all roles have in common: from the event that the host sends to the answer that it commits.

import { Reject, Retry } from "./failure.js";
import { log } from "./host.js";
import { parse } from "./json.js";
import { begin } from "./pure.js";
import { at, raw } from "./readers.js";

/**
 * What the host calls: reads the payload by the reader `payload`, hands the event to `run`, and has `answer` make what the
 * host wants of what that returned.
 */
export function calls(payload, run, answer) {
  return (event) => {
    try {
      begin(event.time);
      const result = run(new Event(event, read(payload, event.data)));
      if (typeof result?.then === "function") throw new TypeError("a plugin is not async: it has nothing to wait for");
      return answer(result);
    } catch (error) {
      if (error instanceof Reject || error instanceof Retry) throw error;
      log.debug(error?.stack ?? "");
      log.error(error);
      throw error instanceof Error ? error : new Error(String(error));
    }
  };
}

function read(payload, data) {
  return payload === raw ? data : at("payload", payload, parse("payload", data));
}

/** What a plugin gets: the fields of the WIT's `event`, with the payload read and the sequence as a BigInt. */
class Event {
  constructor(event, payload) {
    Object.assign(this, event, { sequence: BigInt(event.sequence), payload });
  }

  /** The value of the first attribute of that name, or undefined. */
  attribute(name) {
    return this.attributes.find((attribute) => attribute.name === name)?.value;
  }
}
