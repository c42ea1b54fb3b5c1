// What the host offers: views, log lines, settings, randomness.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

// The generated functions take pointers to strings that they only read.
static PELTON_WORLD(string_t) lent(pelton_text text) { return (PELTON_WORLD(string_t)){(uint8_t *)text.at, text.len}; }

// Copies what the host gave into the call's memory, so that it goes with the call.
static pelton_text keep(pelton_call *call, const uint8_t *at, size_t len) {
  char *copy = pelton_alloc(call, len);
  if (len > 0) memcpy(copy, at, len);
  return (pelton_text){copy, len};
}

pelton_text pelton_get_raw(pelton_call *call, const char *view, pelton_text key) {
  PELTON_WORLD(string_t) view_name = lent(pelton_text_of(view)), view_key = lent(key);
  PELTON_WORLD(list_u8_t) found;
  if (!pelton_plugin_views_get(&view_name, &view_key, &found)) return (pelton_text){NULL, 0};
  pelton_text value = keep(call, found.ptr, found.len);
  PELTON_WORLD(list_u8_free)(&found);
  return value;
}

bool pelton_get(pelton_call *call, const char *view, pelton_text key, pelton_reader *read, void *into) {
  pelton_text value = pelton_get_raw(call, view, key);
  if (value.at == NULL) return false;
  pelton_json place = {0};
  pelton_write_raw(&place, pelton_text_of("view "));
  pelton_write_raw(&place, pelton_text_of(view));
  pelton_write_raw(&place, pelton_text_of(", key "));
  pelton_write_raw(&place, key);
  bool fits = pelton_read_document(call, value, (pelton_text){place.at, place.len}, read, into);
  free(place.at);
  return fits;
}

pelton_text pelton_config(pelton_call *call, const char *name) {
  PELTON_WORLD(string_t) setting = lent(pelton_text_of(name)), found;
  if (!pelton_plugin_config_get(&setting, &found)) return (pelton_text){NULL, 0};
  pelton_text value = keep(call, found.ptr, found.len);
  PELTON_WORLD(string_free)(&found);
  return value;
}

void pelton_log(pelton_level level, const char *message) {
  PELTON_WORLD(string_t) line = lent(pelton_text_of(message));
  pelton_plugin_log_log((pelton_plugin_log_level_t)level, &line);
}

uint32_t pelton_random(void) { return pelton_plugin_random_next(); }
