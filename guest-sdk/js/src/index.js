// Write Pelton plugins in JavaScript: all that a plugin imports.
//
// A plugin is a pure function: it gets an event and read access to its own views, and returns effects. The host
// commits all that it returns exactly once, or nothing. It has no clock, no randomness of its own, no network and no
// files. This is a complete one, which counts the orders of each customer and announces each tenth:
//
//   import { View, emit, handle, integer, object } from "pelton-sdk";
//
//   const counts = new View("counts", integer);
//   const order = object({ total: integer });
//
//   export const handler = handle(order, (event) => {
//     const count = (counts.get(event.key) ?? 0) + 1;
//     const effects = [counts.put(event.key, count)];
//     if (count % 10 === 0) effects.push(emit("rewards", "reward.earned", event.payload.total));
//     return effects;
//   });

export { emit } from "./effects.js";
export { Reject, Retry } from "./failure.js";
export { handle } from "./handler.js";
export { config, log, random } from "./host.js";
export { project } from "./projector.js";
export { any, boolean, int64, integer, list, number, object, optional, raw, string } from "./readers.js";
export { View } from "./view.js";
