// Whether bytes are JSON, and where a value of it ends.

#include <string.h>

#include "internal.h"

// Deeper nesting is refused, as other languages' readers do: the stack is small.
#define MAX_DEPTH 127

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

const char *pelton_skip_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

// The scanner stops at the first byte that cannot be, and then all functions give NULL. Its `end` is that of the input.
typedef pelton_scan scan;

static const char *stop_for(scan *scan, const char *at, const char *reason) {
  scan->fault = at;
  scan->reason = reason;
  return NULL;
}

static const char *stop(scan *scan, const char *at) { return stop_for(scan, at, "no JSON from byte "); }

static const char *skip_word(scan *scan, const char *at, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(scan->end - at) < len || memcmp(at, word, len) != 0) return stop(scan, at);
  return at + len;
}

static const char *skip_escape(scan *scan, const char *at) {
  if (at == scan->end) return stop(scan, at);
  if (*at != 'u') return memchr("\"\\/bfnrt", *at, 8) != NULL ? at + 1 : stop(scan, at);
  for (int i = 1; i <= 4; i++) {
    if (at + i >= scan->end || !is_hex(at[i])) return stop(scan, at);
  }
  return at + 5;
}

static const char *skip_string(scan *scan, const char *at) {
  if (at == scan->end || *at != '"') return stop(scan, at);
  at++;
  while (at != NULL && at < scan->end && *at != '"') {
    if ((unsigned char)*at < 0x20) return stop(scan, at);
    at = *at == '\\' ? skip_escape(scan, at + 1) : at + 1;
  }
  if (at == NULL) return NULL;
  return at < scan->end ? at + 1 : stop(scan, at);
}

static const char *skip_digits(scan *scan, const char *at) {
  if (at == scan->end || !is_digit(*at)) return stop(scan, at);
  while (at < scan->end && is_digit(*at)) at++;
  return at;
}

static const char *skip_number(scan *scan, const char *at) {
  if (*at == '-') at++;
  if (at < scan->end && *at == '0') at++;
  else at = skip_digits(scan, at);
  if (at != NULL && at < scan->end && *at == '.') at = skip_digits(scan, at + 1);
  if (at != NULL && at < scan->end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < scan->end && (*at == '+' || *at == '-')) at++;
    at = skip_digits(scan, at);
  }
  return at;
}

static const char *skip(scan *scan, const char *at, int depth);

static const char *skip_member(scan *scan, const char *at, int depth) {
  at = skip_string(scan, at);
  if (at == NULL) return NULL;
  at = pelton_skip_space(at, scan->end);
  if (at == scan->end || *at != ':') return stop(scan, at);
  return skip(scan, pelton_skip_space(at + 1, scan->end), depth);
}

// Skips what stands between brackets, which `at` is the first of.
static const char *skip_nested(scan *scan, const char *at, int depth) {
  bool is_object = *at == '{';
  char last = is_object ? '}' : ']';
  if (depth > MAX_DEPTH) return stop_for(scan, at, "nested too deeply from byte ");
  at = pelton_skip_space(at + 1, scan->end);
  if (at < scan->end && *at == last) return at + 1;
  for (;;) {
    at = is_object ? skip_member(scan, at, depth + 1) : skip(scan, at, depth + 1);
    if (at == NULL) return NULL;
    at = pelton_skip_space(at, scan->end);
    if (at < scan->end && *at == last) return at + 1;
    if (at == scan->end || *at != ',') return stop(scan, at);
    at = pelton_skip_space(at + 1, scan->end);
  }
}

static const char *skip(scan *scan, const char *at, int depth) {
  if (at == scan->end) return stop(scan, at);
  switch (*at) {
    case '{':
    case '[': return skip_nested(scan, at, depth);
    case '"': return skip_string(scan, at);
    case 't': return skip_word(scan, at, "true");
    case 'f': return skip_word(scan, at, "false");
    case 'n': return skip_word(scan, at, "null");
    default: return *at == '-' || is_digit(*at) ? skip_number(scan, at) : stop(scan, at);
  }
}

pelton_scan pelton_scan_value(pelton_text json) {
  scan scan = {.end = json.at + json.len};
  scan.end = skip(&scan, json.at, 0);
  return scan;
}

// How many bytes follow a first byte, and the range that the second one must be in.
static int following(unsigned char first, unsigned char *least, unsigned char *most) {
  *least = 0x80;
  *most = 0xbf;
  if (first < 0x80) return 0;
  if (first >= 0xc2 && first <= 0xdf) return 1;
  if (first == 0xe0) *least = 0xa0;
  if (first == 0xed) *most = 0x9f;
  if (first >= 0xe0 && first <= 0xef) return 2;
  if (first == 0xf0) *least = 0x90;
  if (first == 0xf4) *most = 0x8f;
  return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

bool pelton_is_utf8(pelton_text text) {
  const unsigned char *at = (const unsigned char *)text.at, *end = at + text.len;
  while (at < end) {
    unsigned char least, most;
    int more = following(*at++, &least, &most);
    if (more < 0 || end - at < more) return false;
    for (; more > 0; more--, at++, least = 0x80, most = 0xbf) {
      if (*at < least || *at > most) return false;
    }
  }
  return true;
}
