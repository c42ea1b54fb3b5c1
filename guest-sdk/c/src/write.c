// Writes JSON.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void reserve(pelton_json *json, size_t more) {
  size_t needed = json->len + more;
  if (needed <= json->capacity) return;
  size_t capacity = json->capacity * 2 > needed ? json->capacity * 2 : needed + 64;
  char *grown = realloc(json->at, capacity);
  // A trap, as everywhere when memory has run out.
  if (grown == NULL || needed < more) abort();
  json->at = grown;
  json->capacity = capacity;
}

void pelton_write_raw(pelton_json *json, pelton_text bytes) {
  if (bytes.len == 0) return;
  reserve(json, bytes.len);
  memcpy(json->at + json->len, bytes.at, bytes.len);
  json->len += bytes.len;
}

static void put(pelton_json *json, char c) { pelton_write_raw(json, (pelton_text){&c, 1}); }

static void put_escape(pelton_json *json, unsigned char c) {
  static const char HEX[] = "0123456789abcdef";
  char escape[] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};
  if (c == '"' || c == '\\') pelton_write_raw(json, (pelton_text){(char[]){'\\', (char)c}, 2});
  else pelton_write_raw(json, (pelton_text){escape, sizeof escape});
}

static void put_string(pelton_json *json, pelton_text text) {
  put(json, '"');
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.at[i];
    if (c < 0x20 || c == '"' || c == '\\') put_escape(json, c);
    else put(json, (char)c);
  }
  put(json, '"');
}

// What comes before a value: a comma unless it is the first, and its name.
static void begin(pelton_json *json, const char *name) {
  char last = json->len > 0 ? json->at[json->len - 1] : '{';
  if (last != '{' && last != '[') put(json, ',');
  if (name == NULL) return;
  put_string(json, pelton_text_of(name));
  put(json, ':');
}

void pelton_write_text(pelton_json *json, const char *name, pelton_text value) {
  begin(json, name);
  put_string(json, value);
}

void pelton_write_int64(pelton_json *json, const char *name, int64_t value) {
  char digits[20], *end = digits + sizeof digits, *at = end;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do *--at = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  if (value < 0) *--at = '-';
  begin(json, name);
  pelton_write_raw(json, (pelton_text){at, (size_t)(end - at)});
}

// The shortest of its decimal forms that is read back as the same number. JSON has none for what is not finite.
void pelton_write_number(pelton_json *json, const char *name, double value) {
  if (value != value || value - value != 0) {
    pelton_write_null(json, name);
    return;
  }
  char digits[32];
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (strtod(digits, NULL) == value) break;
  }
  begin(json, name);
  pelton_write_raw(json, pelton_text_of(digits));
}

void pelton_write_bool(pelton_json *json, const char *name, bool value) {
  begin(json, name);
  pelton_write_raw(json, pelton_text_of(value ? "true" : "false"));
}

void pelton_write_null(pelton_json *json, const char *name) {
  begin(json, name);
  pelton_write_raw(json, pelton_text_of("null"));
}

void pelton_open_object(pelton_json *json, const char *name) {
  begin(json, name);
  put(json, '{');
}

void pelton_close_object(pelton_json *json) { put(json, '}'); }

void pelton_open_list(pelton_json *json, const char *name) {
  begin(json, name);
  put(json, '[');
}

void pelton_close_list(pelton_json *json) { put(json, ']'); }
