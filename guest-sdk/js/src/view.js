// A view of the module, as a map from keys to values.

import { get } from "pelton:plugin/views@0.1.0";
import { Write } from "./effects.js";
import { bytes, parse } from "./json.js";
import { any, at } from "./readers.js";

/** One of the module's views, whose values are JSON. With more than one lane, a key must equal the event's key or begin
 * with it and `/`. */
export class View {
  #name;
  #reader;

  /** The view of that name, which the module must own; `reader` says what its values look like. */
  constructor(name, reader = any) {
    this.#name = name;
    this.#reader = reader;
  }

  /** The value under `key`, or undefined. Sees the lane's own earlier writes, but none of the current call. A value that
   * does not fit the reader is a rejection. */
  get(key) {
    const data = get(this.#name, key);
    if (data === undefined) return undefined;
    const place = this.#place(key);
    return at(place, this.#reader, parse(place, data));
  }

  /** The bytes under `key`, or undefined. */
  getRaw(key) {
    return get(this.#name, key);
  }

  /** The write that puts `value` under `key`: as JSON, or as it is if it is a Uint8Array. */
  put(key, value) {
    return new Write(this.#name, key, { tag: "put", val: bytes(this.#place(key), value) });
  }

  /** The write that removes `key`. */
  delete(key) {
    return new Write(this.#name, key, { tag: "delete" });
  }

  #place(key) {
    return `view ${this.#name}, key ${key}`;
  }
}
