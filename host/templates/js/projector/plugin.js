// Counts the orders of each customer.

import { View, integer, object, project } from "pelton-sdk";

/** How many orders each customer has placed. */
const counts = new View("counts", integer);

/** What an event says. A payload that does not fit is rejected, with the field's name. */
const order = object({ total: integer });

/** The plugin: a pure function from an event, and the views as they stand, to view writes. */
export const projector = project(order, (event) => {
  const count = (counts.get(event.key) ?? 0) + 1;
  return [counts.put(event.key, count)];
});
