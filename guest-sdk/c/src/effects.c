// Effects as they gather during a call, and how the host gets them.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

#ifndef PELTON_PROJECTOR

pelton_json *pelton_emit(pelton_call *call, const char *category, const char *kind, pelton_text key) {
  pelton_emission *emission = pelton_alloc(call, sizeof *emission);
  memset(emission, 0, sizeof *emission);
  emission->event.category = pelton_lasting_text(pelton_text_of(category));
  emission->event.kind = pelton_lasting_text(pelton_text_of(kind));
  emission->event.content_type = pelton_lasting_text(pelton_text_of("application/json"));
  emission->event.key.is_some = key.at != NULL;
  emission->event.key.val = pelton_lasting_text(key);
  if (call->last_event != NULL) call->last_event->next = emission;
  else call->first_event = emission;
  call->last_event = emission;
  return &emission->data;
}

void pelton_set_subject(pelton_call *call, pelton_text subject) {
  if (call->last_event == NULL) return;
  PELTON_WORLD(option_string_t) *set = &call->last_event->event.subject;
  PELTON_WORLD(option_string_free)(set);
  *set = (PELTON_WORLD(option_string_t)){subject.at != NULL, pelton_lasting_text(subject)};
}

void pelton_set_content_type(pelton_call *call, const char *content_type) {
  if (call->last_event == NULL) return;
  PELTON_WORLD(string_t) *set = &call->last_event->event.content_type;
  PELTON_WORLD(string_free)(set);
  *set = pelton_lasting_text(pelton_text_of(content_type));
}

void pelton_add_attribute(pelton_call *call, const char *name, pelton_text value) {
  if (call->last_event == NULL) return;
  pelton_plugin_types_list_attribute_t *list = &call->last_event->event.attributes;
  pelton_plugin_types_attribute_t *grown = pelton_lasting((list->len + 1) * sizeof *grown);
  if (list->len > 0) {
    memcpy(grown, list->ptr, list->len * sizeof *grown);
    free(list->ptr);
  }
  PELTON_WORLD(string_t) its_name = pelton_lasting_text(pelton_text_of(name));
  grown[list->len] = (pelton_plugin_types_attribute_t){its_name, pelton_lasting_text(value)};
  *list = (pelton_plugin_types_list_attribute_t){grown, list->len + 1};
}

#endif

static pelton_writing *add_write(pelton_call *call, const char *view, pelton_text key) {
  pelton_writing *writing = pelton_alloc(call, sizeof *writing);
  memset(writing, 0, sizeof *writing);
  writing->write.view = pelton_lasting_text(pelton_text_of(view));
  writing->write.key = pelton_lasting_text(key);
  if (call->last_write != NULL) call->last_write->next = writing;
  else call->first_write = writing;
  call->last_write = writing;
  return writing;
}

pelton_json *pelton_put(pelton_call *call, const char *view, pelton_text key) {
  pelton_writing *writing = add_write(call, view, key);
  writing->write.change.tag = PELTON_PLUGIN_TYPES_CHANGE_PUT;
  return &writing->value;
}

void pelton_delete(pelton_call *call, const char *view, pelton_text key) {
  add_write(call, view, key)->write.change.tag = PELTON_PLUGIN_TYPES_CHANGE_DELETE;
}

static PELTON_WORLD(list_u8_t) bytes(const pelton_json *json) {
  return (PELTON_WORLD(list_u8_t)){(uint8_t *)json->at, json->len};
}

static void hand_over_events(const pelton_call *call, pelton_plugin_types_list_emitted_t *list) {
  for (const pelton_emission *e = call->first_event; e != NULL; e = e->next) list->len++;
  if (list->len == 0) return;
  pelton_plugin_types_emitted_t *into = list->ptr = pelton_lasting(list->len * sizeof *into);
  for (const pelton_emission *e = call->first_event; e != NULL; e = e->next, into++) {
    *into = e->event;
    into->data = bytes(&e->data);
  }
}

static void hand_over_writes(const pelton_call *call, pelton_plugin_types_list_view_write_t *list) {
  for (const pelton_writing *w = call->first_write; w != NULL; w = w->next) list->len++;
  if (list->len == 0) return;
  pelton_plugin_types_view_write_t *into = list->ptr = pelton_lasting(list->len * sizeof *into);
  for (const pelton_writing *w = call->first_write; w != NULL; w = w->next, into++) {
    *into = w->write;
    if (into->change.tag == PELTON_PLUGIN_TYPES_CHANGE_PUT) into->change.val.put = bytes(&w->value);
  }
}

void pelton_hand_over(pelton_call *call, pelton_plugin_types_effects_t *effects) {
  hand_over_events(call, &effects->events);
  hand_over_writes(call, &effects->writes);
}
