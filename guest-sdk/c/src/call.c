// A call from the host: the event in, the effects or a failure out.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

pelton_text pelton_text_of(const char *string) { return (pelton_text){string, strlen(string)}; }

bool pelton_equal(pelton_text a, pelton_text b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

const pelton_event *pelton_event_of(const pelton_call *call) { return &call->event; }

pelton_text pelton_attribute(const pelton_call *call, const char *name) {
  for (size_t i = 0; i < call->raw->attributes.len; i++) {
    const pelton_plugin_types_attribute_t *attribute = &call->raw->attributes.ptr[i];
    pelton_text found = {(const char *)attribute->name.ptr, attribute->name.len};
    if (pelton_equal(found, pelton_text_of(name))) {
      return (pelton_text){(const char *)attribute->value.ptr, attribute->value.len};
    }
  }
  return (pelton_text){NULL, 0};
}

bool pelton_failed(const pelton_call *call) { return call->failure != FAILED_NOT; }

// Writes the place from the outside in, each part before a colon.
static void write_place(pelton_json *reason, const pelton_place *place) {
  if (place == NULL) return;
  write_place(reason, place->outer);
  pelton_write_raw(reason, place->name);
  pelton_write_raw(reason, pelton_text_of(": "));
}

bool pelton_reject(pelton_call *call, const char *reason) {
  if (!pelton_failed(call)) {
    call->failure = FAILED_REJECT;
    write_place(&call->reason, call->place);
    pelton_write_raw(&call->reason, pelton_text_of(reason));
  }
  return false;
}

static void retry(pelton_call *call, PELTON_WORLD(option_u32_t) wait) {
  if (pelton_failed(call)) return;
  call->failure = FAILED_RETRY;
  call->wait = wait;
}

void pelton_retry_after(pelton_call *call, uint32_t milliseconds) {
  retry(call, (PELTON_WORLD(option_u32_t)){true, milliseconds});
}

void pelton_retry(pelton_call *call) { retry(call, (PELTON_WORLD(option_u32_t)){false, 0}); }

void *pelton_lasting(size_t size) {
  void *memory = malloc(size > 0 ? size : 1);
  // A trap: the host knows what to do about a plugin that has used up its memory.
  if (memory == NULL) abort();
  return memory;
}

PELTON_WORLD(string_t) pelton_lasting_text(pelton_text text) {
  // The generated code frees what has a length, and nothing else.
  if (text.len == 0) return (PELTON_WORLD(string_t)){NULL, 0};
  uint8_t *copy = pelton_lasting(text.len);
  memcpy(copy, text.at, text.len);
  return (PELTON_WORLD(string_t)){copy, text.len};
}

void *pelton_alloc(pelton_call *call, size_t size) {
  pelton_block *block = pelton_lasting(sizeof *block + size);
  block->next = call->blocks;
  call->blocks = block;
  return block + 1;
}

static void free_blocks(pelton_call *call) {
  while (call->blocks != NULL) {
    pelton_block *block = call->blocks;
    call->blocks = block->next;
    free(block);
  }
}

static pelton_text text(PELTON_WORLD(string_t) string) { return (pelton_text){(const char *)string.ptr, string.len}; }

static pelton_text text_or_none(PELTON_WORLD(option_string_t) string) {
  return string.is_some ? text(string.val) : (pelton_text){NULL, 0};
}

static uint64_t digits(pelton_text text) {
  uint64_t number = 0;
  for (size_t i = 0; i < text.len; i++) number = number * 10 + (uint64_t)(text.at[i] - '0');
  return number;
}

static pelton_event read_event(const pelton_plugin_types_event_t *event) {
  return (pelton_event){
      .id = text(event->id),
      .source = text(event->source),
      .kind = text(event->kind),
      .subject = text_or_none(event->subject),
      .key = text(event->key),
      .stream = text(event->stream),
      .sequence = digits(text(event->sequence)),
      .time = text(event->time),
      .content_type = text(event->content_type),
      .correlation = text(event->correlation),
      .causation = text_or_none(event->causation),
      .data = {(const char *)event->data.ptr, event->data.len},
  };
}

static void fail(const pelton_call *call, pelton_plugin_types_failure_t *failure) {
  if (call->failure == FAILED_RETRY) {
    failure->tag = PELTON_PLUGIN_TYPES_FAILURE_RETRY;
    failure->val.retry = call->wait;
  } else {
    failure->tag = PELTON_PLUGIN_TYPES_FAILURE_REJECT;
    failure->val.reject = (PELTON_WORLD(string_t)){(uint8_t *)call->reason.at, call->reason.len};
  }
}

// Runs the plugin on an event, and takes that over; false if it failed.
static bool run(pelton_plugin_types_event_t *event, pelton_plugin_types_effects_t *effects,
                pelton_plugin_types_failure_t *failure) {
  pelton_call call = {.event = read_event(event), .raw = event};
#ifdef PELTON_PROJECTOR
  pelton_project(&call);
#else
  pelton_handle(&call);
#endif
  bool succeeded = !pelton_failed(&call);
  pelton_plugin_types_effects_t done = {0};
  pelton_hand_over(&call, &done);
  if (succeeded) {
    *effects = done;
  } else {
    pelton_plugin_types_effects_free(&done);
    fail(&call, failure);
  }
  free_blocks(&call);
  pelton_plugin_types_event_free(event);
  return succeeded;
}

// What the host calls.
#ifdef PELTON_PROJECTOR
bool exports_pelton_plugin_projector_project(pelton_plugin_types_event_t *event,
                                             exports_pelton_plugin_projector_list_view_write_t *writes,
                                             pelton_plugin_types_failure_t *failure) {
  pelton_plugin_types_effects_t effects;
  if (!run(event, &effects, failure)) return false;
  // A projector adds no events, so the writes are all that there is.
  *writes = (exports_pelton_plugin_projector_list_view_write_t){effects.writes.ptr, effects.writes.len};
  return true;
}
#else
bool exports_pelton_plugin_handler_handle(pelton_plugin_types_event_t *event, pelton_plugin_types_effects_t *effects,
                                          pelton_plugin_types_failure_t *failure) {
  return run(event, effects, failure);
}
#endif
