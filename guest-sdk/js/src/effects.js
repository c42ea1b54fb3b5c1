// What a plugin returns: events to publish and view writes.

import { bytes } from "./json.js";

/**
 * An event of the CloudEvents type `kind` in `category`, one of those that the module may emit, with `data` as JSON, or
 * as it is if it is a Uint8Array. Its key is the input's, unless `key` says another.
 */
export function emit(category, kind, data, { key, subject, contentType = "application/json", attributes = {} } = {}) {
  const extensions = Object.entries(attributes).map(([name, value]) => ({ name, value }));
  return new Emitted({
    category, key, kind, subject, contentType, attributes: extensions, data: bytes(`data of ${kind}`, data),
  });
}

class Emitted {
  constructor(event) {
    this.event = event;
  }
}

/** One write to a view; a View makes it. */
export class Write {
  constructor(view, key, change) {
    this.write = { view, key, change, attributes: [] };
  }
}

/** The effects as the host wants them, of what a handler returned. */
export function effects(list = []) {
  const result = { events: [], writes: [], attributes: [] };
  for (const effect of list) {
    if (effect instanceof Emitted) result.events.push(effect.event);
    else if (effect instanceof Write) result.writes.push(effect.write);
    else throw new TypeError("a handler returns a list of what emit(), put() and delete() give");
  }
  return result;
}

/** The view writes as the host wants them, of what a projector returned. */
export function writes(list = []) {
  const result = [];
  for (const write of list) {
    if (!(write instanceof Write)) throw new TypeError("a projector returns a list of what put() and delete() give");
    result.push(write.write);
  }
  return result;
}
