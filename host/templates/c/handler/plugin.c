// Counts the orders of each customer and announces each tenth.

#include "pelton.h"

// What an event says. A payload that does not fit is rejected, with the field's name.
typedef struct {
  int64_t total;
} order;

static const pelton_field ORDER[] = { PELTON_FIELD(order, total, pelton_read_int64) };

// The plugin: a pure function from an event, and the views as they stand, to effects.
void pelton_handle(pelton_call *call) {
  order order;
  if (!PELTON_READ(call, ORDER, &order)) return;
  pelton_text key = pelton_event_of(call)->key;
  // The view holds how many orders each customer has placed.
  int64_t count = 0;
  pelton_get(call, "counts", key, pelton_read_int64, &count);
  if (pelton_failed(call)) return;
  pelton_write_int64(pelton_put(call, "counts", key), NULL, ++count);
  if (count % 10 == 0) {
    pelton_write_int64(pelton_emit(call, "rewards", "reward.earned", key), NULL, order.total);
  }
}
