// What the files of the SDK know of each other.
#ifndef PELTON_INTERNAL_H
#define PELTON_INTERNAL_H

#include "../pelton.h"

// The two roles differ in what is exported, and in the names that the generated code has for the rest.
#ifdef PELTON_PROJECTOR
#include "../generated/projector_plugin.h"
#define PELTON_WORLD(name) projector_plugin_##name
#else
#include "../generated/handler_plugin.h"
#define PELTON_WORLD(name) handler_plugin_##name
#endif

typedef enum { FAILED_NOT, FAILED_REJECT, FAILED_RETRY } pelton_failure;

// Where in the payload or a view the reader is, for messages. Lives on the stack of the one who goes deeper.
typedef struct pelton_place {
  pelton_text name;
  const struct pelton_place *outer;
} pelton_place;

struct pelton_json {
  char *at;
  size_t len, capacity;
};

typedef struct pelton_emission {
  pelton_plugin_types_emitted_t event;
  pelton_json data;
  struct pelton_emission *next;
} pelton_emission;

typedef struct pelton_writing {
  pelton_plugin_types_view_write_t write;
  pelton_json value;
  struct pelton_writing *next;
} pelton_writing;

// A piece of memory of the call; what is asked for begins behind it, aligned for anything.
typedef struct pelton_block {
  _Alignas(max_align_t) struct pelton_block *next;
} pelton_block;

struct pelton_call {
  pelton_event event;
  const pelton_plugin_types_event_t *raw;
  pelton_failure failure;
  pelton_json reason;
  PELTON_WORLD(option_u32_t) wait;
  const pelton_place *place;
  pelton_emission *first_event, *last_event;
  pelton_writing *first_write, *last_write;
  pelton_block *blocks;
};

// Memory that the host takes over with the answer, and frees by the generated code. Never NULL.
void *pelton_lasting(size_t size);
PELTON_WORLD(string_t) pelton_lasting_text(pelton_text text);
// Moves the effects of a call into its answer.
void pelton_hand_over(pelton_call *call, pelton_plugin_types_effects_t *effects);
// Has `reader` read a whole document, as the content of `place`.
bool pelton_read_document(pelton_call *call, pelton_text document, pelton_text place, pelton_reader *read, void *into);

// What a look at a value found: its end, or NULL; then where and why it is no JSON.
typedef struct {
  const char *end, *fault, *reason;
} pelton_scan;

// Looks at the value at the beginning of `json`.
pelton_scan pelton_scan_value(pelton_text json);
const char *pelton_skip_space(const char *at, const char *end);
bool pelton_is_utf8(pelton_text text);

#endif
