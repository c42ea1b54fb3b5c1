// The role `handler`: answers an event with events and view writes.

import { effects } from "./effects.js";
import { calls } from "./role.js";

/**
 * Makes a handler, to be exported under the name `handler`. `payload` is the reader of its events' payloads, or `raw`;
 * what does not fit is rejected before `run` sees it. `run` gets an event and returns a list of effects, or nothing.
 */
export const handle = (payload, run) => ({ handle: calls(payload, run, effects) });
