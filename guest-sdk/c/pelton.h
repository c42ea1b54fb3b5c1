// Write Pelton plugins in C: all that a plugin uses.
//
// A plugin is a pure function, `pelton_handle`: it gets a call, which holds an event and read access to the plugin's own
// views, and adds effects to it. The host commits all of them exactly once, or nothing. There is no clock, no
// randomness of its own, no network and no files. This is a complete plugin, which counts the orders of each customer
// and announces each tenth:
//
//   #include "pelton.h"
//
//   typedef struct { int64_t total; } order;
//
//   static const pelton_field ORDER[] = { PELTON_FIELD(order, total, pelton_read_int64) };
//
//   void pelton_handle(pelton_call *call) {
//     order order;
//     if (!PELTON_READ(call, ORDER, &order)) return;
//     pelton_text key = pelton_event_of(call)->key;
//     int64_t count = 0;
//     pelton_get(call, "counts", key, pelton_read_int64, &count);
//     if (pelton_failed(call)) return;
//     pelton_write_int64(pelton_put(call, "counts", key), NULL, ++count);
//     if (count % 10 == 0) {
//       pelton_write_int64(pelton_emit(call, "rewards", "reward.earned", key), NULL, order.total);
//     }
//   }
//
// With `-DPELTON_PROJECTOR` it is a projector, `pelton_project`, which writes views and emits nothing.
//
// A call that has failed stays failed: its first failure is the answer, its effects are dropped. So failures need not be
// handed on, only be returned from. All memory that the SDK hands out lives until the end of the call.
#ifndef PELTON_H
#define PELTON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Text in UTF-8, or bytes, that something else owns. It does not end with a zero. `at` is NULL if there is none.
typedef struct {
  const char *at;
  size_t len;
} pelton_text;

// The text of a string that ends with a zero.
pelton_text pelton_text_of(const char *string);
bool pelton_equal(pelton_text a, pelton_text b);

// One run of the plugin.
typedef struct pelton_call pelton_call;

// The plugin itself: called once for each event.
#ifdef PELTON_PROJECTOR
void pelton_project(pelton_call *call);
#else
void pelton_handle(pelton_call *call);
#endif

// What the plugin received. The fields are those of `event` in the WIT.
typedef struct {
  pelton_text id, source, kind, subject, key, stream;
  uint64_t sequence;
  pelton_text time, content_type, correlation, causation, data;
} pelton_event;

const pelton_event *pelton_event_of(const pelton_call *call);
// The value of the first attribute of that name.
pelton_text pelton_attribute(const pelton_call *call, const char *name);

// Never: the input cannot be processed, for this reason. It becomes a dead letter. Always false, so that a reader can
// return it.
bool pelton_reject(pelton_call *call, const char *reason);
// Not now: the same input again, after so many milliseconds, or when the host sees fit.
void pelton_retry_after(pelton_call *call, uint32_t milliseconds);
void pelton_retry(pelton_call *call);
// Whether the call was rejected or is to be retried.
bool pelton_failed(const pelton_call *call);

// Memory that is freed at the end of the call.
void *pelton_alloc(pelton_call *call, size_t size);

// ---- Reading JSON

// A value in a document that was checked: its JSON text.
typedef struct {
  pelton_text json;
} pelton_value;

// Reads a value into the place that is meant for it; false after a rejection. A plugin may have readers of its own.
typedef bool pelton_reader(pelton_call *call, pelton_value value, void *into);

pelton_reader pelton_read_text;    // into a pelton_text
pelton_reader pelton_read_int64;   // into an int64_t
pelton_reader pelton_read_number;  // into a double
pelton_reader pelton_read_bool;    // into a bool

// A field of a struct that is read from an object.
typedef struct {
  const char *name;
  size_t offset;
  pelton_reader *read;
  bool optional;
} pelton_field;

#define PELTON_FIELD(type, field, read) { #field, offsetof(type, field), read, false }
// A field that may be missing or null: then it stays zero.
#define PELTON_OPTIONAL(type, field, read) { #field, offsetof(type, field), read, true }

// Reads the payload into a struct by a table of up to 64 fields; others in the payload are left out. What does not fit
// rejects the call, naming the field.
#define PELTON_READ(call, fields, into) \
  pelton_read_payload(call, fields, sizeof(fields) / sizeof *(fields), into, sizeof *(into))
bool pelton_read_payload(pelton_call *call, const pelton_field *fields, size_t count, void *into, size_t size);
// The same for an object within the payload, in a reader of the plugin's own.
bool pelton_read_object(pelton_call *call, pelton_value value, const pelton_field *fields, size_t count, void *into,
                        size_t size);
// Rejects a value that is not the `expected`, for example "a whole number". Always false.
bool pelton_misfit(pelton_call *call, pelton_value value, const char *expected);

// ---- Views

// Reads the value of `key` in `view`; false if there is none or it does not fit, which rejects the call. Sees the lane's
// own earlier writes, but none of the running call.
bool pelton_get(pelton_call *call, const char *view, pelton_text key, pelton_reader *read, void *into);
// The bytes of `key` in `view`.
pelton_text pelton_get_raw(pelton_call *call, const char *view, pelton_text key);

// ---- Effects

// JSON, or any bytes, being written.
typedef struct pelton_json pelton_json;

#ifndef PELTON_PROJECTOR
// Adds an event of the CloudEvents type `kind` about the entity `key`, in `category`; what is written to the result
// becomes its data. It is JSON unless said otherwise.
pelton_json *pelton_emit(pelton_call *call, const char *category, const char *kind, pelton_text key);
// Set parts of the event that was added last.
void pelton_set_subject(pelton_call *call, pelton_text subject);
void pelton_set_content_type(pelton_call *call, const char *content_type);
void pelton_add_attribute(pelton_call *call, const char *name, pelton_text value);
#endif
// Adds a write of `key` in `view`; what is written to the result becomes its value.
pelton_json *pelton_put(pelton_call *call, const char *view, pelton_text key);
// Adds a write that removes `key` from `view`.
void pelton_delete(pelton_call *call, const char *view, pelton_text key);

// Write a value. `name` is that of the member if an object is open, else NULL. Commas come by themselves.
void pelton_write_text(pelton_json *json, const char *name, pelton_text value);
void pelton_write_int64(pelton_json *json, const char *name, int64_t value);
// The shortest form that reads back as the same number; null for what is not finite.
void pelton_write_number(pelton_json *json, const char *name, double value);
void pelton_write_bool(pelton_json *json, const char *name, bool value);
void pelton_write_null(pelton_json *json, const char *name);
void pelton_open_object(pelton_json *json, const char *name);
void pelton_close_object(pelton_json *json);
void pelton_open_list(pelton_json *json, const char *name);
void pelton_close_list(pelton_json *json);
// Appends bytes as they are.
void pelton_write_raw(pelton_json *json, pelton_text bytes);

// ---- The host

typedef enum { PELTON_DEBUG, PELTON_INFO, PELTON_WARN, PELTON_ERROR } pelton_level;

// Writes a line for the operator. It is no effect: a line may be dropped or repeated.
void pelton_log(pelton_level level, const char *message);
// The module's setting of that name.
pelton_text pelton_config(pelton_call *call, const char *name);
// The next 32 random bits. Their seed is the event's id, so that a second run gives the same.
uint32_t pelton_random(void);

#endif
