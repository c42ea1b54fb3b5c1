// The role `handler`: from the event that the host sends to the effects that it commits.

import { effects } from "./effects.js";
import { Reject, Retry } from "./failure.js";
import { log } from "./host.js";
import { parse } from "./json.js";
import { at, raw } from "./readers.js";

/**
 * Makes a handler, to be exported under the name `handler`. `payload` is the reader of its events' payloads, or `raw`;
 * what does not fit is rejected before `run` sees it. `run` gets an event and returns a list of effects, or nothing.
 */
export function handle(payload, run) {
  return {
    handle(event) {
      try {
        return effects(run(new Event(event, read(payload, event.data))));
      } catch (error) {
        if (error instanceof Reject || error instanceof Retry) throw error;
        log.error(`${error}\n${error?.stack ?? ""}`);
        throw error instanceof Error ? error : new Error(String(error));
      }
    },
  };
}

function read(payload, data) {
  return payload === raw ? data : at("payload", payload, parse("payload", data));
}

/** What a handler gets: the fields of the WIT's `event`, with the payload read and the sequence as a BigInt. */
class Event {
  constructor(event, payload) {
    Object.assign(this, event, { sequence: BigInt(event.sequence), payload });
  }

  /** The value of the first attribute of that name, or undefined. */
  attribute(name) {
    return this.attributes.find((attribute) => attribute.name === name)?.value;
  }
}
