// Counts the orders of each customer and announces each tenth.

import { View, emit, handle, integer, object } from "pelton-sdk";

/** How many orders each customer has placed. */
const counts = new View("counts", integer);

/** What an event says. A payload that does not fit is rejected, with the field's name. */
const order = object({ total: integer });

/** The plugin: a pure function from an event, and the views as they stand, to effects. */
export const handler = handle(order, (event) => {
  const count = (counts.get(event.key) ?? 0) + 1;
  const effects = [counts.put(event.key, count)];
  if (count % 10 === 0) effects.push(emit("rewards", "reward.earned", event.payload.total));
  return effects;
});
