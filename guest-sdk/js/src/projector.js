// The role `projector`: folds events into views. It emits nothing, so it can be rebuilt at will.

import { writes } from "./effects.js";
import { calls } from "./role.js";

/**
 * Makes a projector, to be exported under the name `projector`. `payload` is the reader of its events' payloads, or `raw`;
 * what does not fit is rejected before `run` sees it. `run` gets an event and returns a list of writes, or nothing.
 */
export const project = (payload, run) => ({ project: calls(payload, run, writes) });
