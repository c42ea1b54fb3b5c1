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

static void retry(pelton_call *call, handler_plugin_option_u32_t wait) {
  if (pelton_failed(call)) return;
  call->failure = FAILED_RETRY;
  call->wait = wait;
}

void pelton_retry_after(pelton_call *call, uint32_t milliseconds) {
  retry(call, (handler_plugin_option_u32_t){true, milliseconds});
}

void pelton_retry(pelton_call *call) { retry(call, (handler_plugin_option_u32_t){false, 0}); }

void *pelton_lasting(size_t size) {
  void *memory = malloc(size > 0 ? size : 1);
  // A trap: the host knows what to do about a plugin that has used up its memory.
  if (memory == NULL) abort();
  return memory;
}

handler_plugin_string_t pelton_lasting_text(pelton_text text) {
  // The generated code frees what has a length, and nothing else.
  if (text.len == 0) return (handler_plugin_string_t){NULL, 0};
  uint8_t *copy = pelton_lasting(text.len);
  memcpy(copy, text.at, text.len);
  return (handler_plugin_string_t){copy, text.len};
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

static pelton_text text(handler_plugin_string_t string) { return (pelton_text){(const char *)string.ptr, string.len}; }

static pelton_text text_or_none(handler_plugin_option_string_t string) {
  return string.is_some ? text(string.val) : (pelton_text){NULL, 0};
}

static uint64_t digits(pelton_text text) {
  uint64_t number = 0;
  for (size_t i = 0; i < text.len; i++) number = number * 10 + (uint64_t)(text.at[i] - '0');
  return number;
}

static pelton_event read_event(const exports_pelton_plugin_handler_event_t *event) {
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

static void fail(const pelton_call *call, exports_pelton_plugin_handler_failure_t *failure) {
  if (call->failure == FAILED_RETRY) {
    failure->tag = PELTON_PLUGIN_TYPES_FAILURE_RETRY;
    failure->val.retry = call->wait;
  } else {
    failure->tag = PELTON_PLUGIN_TYPES_FAILURE_REJECT;
    failure->val.reject = (handler_plugin_string_t){(uint8_t *)call->reason.at, call->reason.len};
  }
}

// What the host calls.
bool exports_pelton_plugin_handler_handle(exports_pelton_plugin_handler_event_t *event,
                                          exports_pelton_plugin_handler_effects_t *effects,
                                          exports_pelton_plugin_handler_failure_t *failure) {
  pelton_call call = {.event = read_event(event), .raw = event};
  pelton_handle(&call);
  bool succeeded = !pelton_failed(&call);
  exports_pelton_plugin_handler_effects_t done = {0};
  pelton_hand_over(&call, &done);
  if (succeeded) {
    *effects = done;
  } else {
    exports_pelton_plugin_handler_effects_free(&done);
    fail(&call, failure);
  }
  free_blocks(&call);
  exports_pelton_plugin_handler_event_free(event);
  return succeeded;
}
