// Reads values of a document that was checked, with faults that name the place.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

// How much of a value that does not fit a message shows.
#define SHOWN 60
// A literal with the zero that ends it, so that what it is the last part of is a string.
#define ENDED(literal) ((pelton_text){literal, sizeof literal})

static char first(pelton_value value) { return value.json.at[0]; }

// So much of the value as a message shows, cut between characters.
static pelton_text shown(pelton_value value) {
  if (first(value) == '{') return pelton_text_of("an object");
  if (first(value) == '[') return pelton_text_of("a list");
  pelton_text text = value.json;
  if (text.len > SHOWN) {
    text.len = SHOWN;
    while ((text.at[text.len] & 0xc0) == 0x80) text.len--;
  }
  return text;
}

bool pelton_misfit(pelton_call *call, pelton_value value, const char *expected) {
  pelton_json reason = {0};
  pelton_write_raw(&reason, shown(value));
  pelton_write_raw(&reason, pelton_text_of(", where "));
  pelton_write_raw(&reason, pelton_text_of(expected));
  pelton_write_raw(&reason, ENDED(" is expected"));
  pelton_reject(call, reason.at);
  free(reason.at);
  return false;
}

static unsigned hex(const char *digits) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++) {
    char c = digits[i];
    value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

static char *put_utf8(char *at, unsigned code) {
  if (code < 0x80) {
    *at++ = (char)code;
  } else if (code < 0x800) {
    *at++ = (char)(0xc0 | code >> 6);
    *at++ = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *at++ = (char)(0xe0 | code >> 12);
    *at++ = (char)(0x80 | (code >> 6 & 0x3f));
    *at++ = (char)(0x80 | (code & 0x3f));
  } else {
    *at++ = (char)(0xf0 | code >> 18);
    *at++ = (char)(0x80 | (code >> 12 & 0x3f));
    *at++ = (char)(0x80 | (code >> 6 & 0x3f));
    *at++ = (char)(0x80 | (code & 0x3f));
  }
  return at;
}

// Reads what follows `\u` at `*at`, which may be two halves of a character. Gives no code for a lone half.
static bool read_code(const char **at, const char *end, unsigned *code) {
  *code = hex(*at);
  *at += 4;
  if (*code < 0xd800 || *code > 0xdfff) return true;
  bool paired = *code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u';
  unsigned low = paired ? hex(*at + 2) : 0;
  if (low < 0xdc00 || low > 0xdfff) return false;
  *at += 6;
  *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  return true;
}

static char unescaped(char c) {
  static const char FROM[] = "bfnrt", TO[] = "\b\f\n\r\t";
  const char *found = strchr(FROM, c);
  return found != NULL ? TO[found - FROM] : c;
}

// Resolves the escapes of what stands between quotes.
static bool unescape(pelton_call *call, pelton_text quoted, pelton_text *into) {
  const char *at = quoted.at, *end = quoted.at + quoted.len;
  char *copy = pelton_alloc(call, quoted.len), *to = copy;
  while (at < end) {
    unsigned code;
    if (*at != '\\') {
      *to++ = *at++;
    } else if (at[1] != 'u') {
      *to++ = unescaped(at[1]);
      at += 2;
    } else {
      at += 2;
      if (!read_code(&at, end, &code)) return pelton_reject(call, "half of a character (a lone surrogate)");
      to = put_utf8(to, code);
    }
  }
  *into = (pelton_text){copy, (size_t)(to - copy)};
  return true;
}

bool pelton_read_text(pelton_call *call, pelton_value value, void *into) {
  if (first(value) != '"') return pelton_misfit(call, value, "a text");
  pelton_text quoted = {value.json.at + 1, value.json.len - 2};
  if (memchr(quoted.at, '\\', quoted.len) != NULL) return unescape(call, quoted, into);
  *(pelton_text *)into = quoted;
  return true;
}

bool pelton_read_int64(pelton_call *call, pelton_value value, void *into) {
  const char *at = value.json.at, *end = at + value.json.len;
  bool negative = *at == '-';
  int64_t number = 0;
  bool fits = at + negative < end;
  for (at += negative; fits && at < end; at++) {
    int digit = negative ? '0' - *at : *at - '0';
    fits = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(number, 10, &number) &&
           !__builtin_add_overflow(number, digit, &number);
  }
  if (!fits) return pelton_misfit(call, value, "a whole number of 64 bits");
  *(int64_t *)into = number;
  return true;
}

bool pelton_read_number(pelton_call *call, pelton_value value, void *into) {
  char c = first(value);
  if (c != '-' && (c < '0' || c > '9')) return pelton_misfit(call, value, "a number");
  char *ended = pelton_alloc(call, value.json.len + 1);
  memcpy(ended, value.json.at, value.json.len);
  ended[value.json.len] = '\0';
  *(double *)into = strtod(ended, NULL);
  return true;
}

bool pelton_read_bool(pelton_call *call, pelton_value value, void *into) {
  char c = first(value);
  if (c != 't' && c != 'f') return pelton_misfit(call, value, "true or false");
  *(bool *)into = c == 't';
  return true;
}

// Runs `read` one place further in.
static bool read_at(pelton_call *call, pelton_text name, pelton_reader *read, pelton_value value, void *into) {
  pelton_place place = {name, call->place};
  call->place = &place;
  bool fits = read(call, value, into);
  call->place = place.outer;
  return fits;
}

// The value at `at` in a document that was checked.
static pelton_value value_at(const char *at, const char *end) {
  const char *last = pelton_scan_value((pelton_text){at, (size_t)(end - at)}).end;
  return (pelton_value){{at, (size_t)(last - at)}};
}

static bool reject_field(pelton_call *call, const char *what, const char *name) {
  pelton_json reason = {0};
  pelton_write_raw(&reason, pelton_text_of(what));
  pelton_write_raw(&reason, pelton_text_of(" field `"));
  pelton_write_raw(&reason, pelton_text_of(name));
  pelton_write_raw(&reason, ENDED("`"));
  pelton_reject(call, reason.at);
  free(reason.at);
  return false;
}

// A struct that is being read.
typedef struct {
  const pelton_field *fields;
  size_t count;
  char *into;
  uint64_t seen;
} object;

static bool read_member(pelton_call *call, object *object, pelton_text name, pelton_value value) {
  for (size_t i = 0; i < object->count; i++) {
    const pelton_field *field = &object->fields[i];
    if (!pelton_equal(name, pelton_text_of(field->name))) continue;
    if (object->seen >> i & 1) return reject_field(call, "duplicate", field->name);
    object->seen |= UINT64_C(1) << i;
    if (field->optional && first(value) == 'n') return true;
    return read_at(call, name, field->read, value, object->into + field->offset);
  }
  return true;
}

static bool read_members(pelton_call *call, object *object, pelton_text json) {
  const char *end = json.at + json.len;
  const char *at = pelton_skip_space(json.at + 1, end);
  while (*at != '}') {
    pelton_value quoted = value_at(at, end);
    pelton_text name;
    if (!pelton_read_text(call, quoted, &name)) return false;
    at = pelton_skip_space(at + quoted.json.len, end);
    at = pelton_skip_space(at + 1, end);
    pelton_value value = value_at(at, end);
    if (!read_member(call, object, name, value)) return false;
    at = pelton_skip_space(at + value.json.len, end);
    if (*at == ',') at = pelton_skip_space(at + 1, end);
  }
  return true;
}

bool pelton_read_object(pelton_call *call, pelton_value value, const pelton_field *fields, size_t count, void *into,
                        size_t size) {
  if (count > 64) return pelton_reject(call, "the plugin reads more than 64 fields");
  if (first(value) != '{') return pelton_misfit(call, value, "an object");
  memset(into, 0, size);
  object object = {fields, count, into, 0};
  if (!read_members(call, &object, value.json)) return false;
  for (size_t i = 0; i < count; i++) {
    if (!(object.seen >> i & 1) && !fields[i].optional) return reject_field(call, "missing", fields[i].name);
  }
  return true;
}

static bool reject_at(pelton_call *call, const char *why, size_t offset) {
  char digits[20] = {0}, *at = digits + sizeof digits - 1;
  do *--at = (char)('0' + offset % 10);
  while ((offset /= 10) > 0);
  pelton_json reason = {0};
  pelton_write_raw(&reason, pelton_text_of(why));
  pelton_write_raw(&reason, (pelton_text){at, (size_t)(digits + sizeof digits - at)});
  pelton_reject(call, reason.at);
  free(reason.at);
  return false;
}

static bool check_and_read(pelton_call *call, pelton_text document, pelton_reader *read, void *into) {
  if (!pelton_is_utf8(document)) return pelton_reject(call, "not UTF-8");
  const char *end = document.at + document.len;
  const char *at = pelton_skip_space(document.at, end);
  pelton_scan scan = pelton_scan_value((pelton_text){at, (size_t)(end - at)});
  if (scan.end == NULL) return reject_at(call, scan.reason, (size_t)(scan.fault - document.at));
  const char *rest = pelton_skip_space(scan.end, end);
  if (rest != end) return reject_at(call, "more than one value, from byte ", (size_t)(rest - document.at));
  return read(call, (pelton_value){{at, (size_t)(scan.end - at)}}, into);
}

bool pelton_read_document(pelton_call *call, pelton_text document, pelton_text name, pelton_reader *read, void *into) {
  pelton_place place = {name, call->place};
  call->place = &place;
  bool fits = check_and_read(call, document, read, into);
  call->place = place.outer;
  return fits;
}

// What a payload is read by and into, so that it can be handed through a reader.
typedef struct {
  const pelton_field *fields;
  size_t count, size;
  void *into;
} payload;

static bool read_payload(pelton_call *call, pelton_value value, void *into) {
  const payload *payload = into;
  return pelton_read_object(call, value, payload->fields, payload->count, payload->into, payload->size);
}

bool pelton_read_payload(pelton_call *call, const pelton_field *fields, size_t count, void *into, size_t size) {
  payload payload = {fields, count, size, into};
  return pelton_read_document(call, call->event.data, pelton_text_of("payload"), read_payload, &payload);
}
