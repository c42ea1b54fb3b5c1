// Reads amounts of money and moments.

#include "retail.h"

#include <string.h>

// An amount is a whole number of 96 bits with up to 28 digits behind the point.
#define MOST_DIGITS 28
static const __uint128_t MOST = ((__uint128_t)1 << 96) - 1;

// An amount as it is read, digit by digit.
typedef struct {
  bool negative, has_point, has_digit;
  size_t places;
  __uint128_t number;
} amount;

static bool add(amount *amount, char c) {
  if (c == '.' && !amount->has_point) return amount->has_point = true;
  // Between digits, for people.
  if (c == '_') return amount->has_digit;
  if (c < '0' || c > '9') return false;
  amount->has_digit = true;
  amount->places += amount->has_point;
  amount->number = amount->number * 10 + (unsigned)(c - '0');
  return amount->number <= MOST && amount->places <= MOST_DIGITS;
}

static bool parse(pelton_text text, amount *amount) {
  size_t i = 0;
  if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) amount->negative = text.at[i++] == '-';
  while (i < text.len && add(amount, text.at[i])) i++;
  return i == text.len && amount->has_digit;
}

// Sign, at least one digit, and all places behind the point.
static pelton_text write(pelton_call *call, const amount *amount) {
  enum { LONGEST = 1 + 30 + 1 };
  char *start = pelton_alloc(call, LONGEST), *end = start + LONGEST, *at = end;
  __uint128_t rest = amount->number;
  for (size_t digits = 0; rest > 0 || digits <= amount->places; digits++, rest /= 10) {
    if (digits > 0 && digits == amount->places) *--at = '.';
    *--at = (char)('0' + (int)(rest % 10));
  }
  if (amount->negative && amount->number > 0) *--at = '-';
  return (pelton_text){at, (size_t)(end - at)};
}

bool read_money(pelton_call *call, pelton_value value, void *into) {
  pelton_text text;
  amount amount = {0};
  if (!pelton_read_text(call, value, &text)) return false;
  if (!parse(text, &amount)) return pelton_misfit(call, value, "an amount of money");
  money *money = into;
  money->sign = amount.number == 0 ? 0 : amount.negative ? -1 : 1;
  money->text = write(call, &amount);
  return true;
}

bool read_moment(pelton_call *call, pelton_value value, void *into) {
  static const char FORM[] = "0000-00-00T00:00:00Z";
  pelton_text text;
  if (!pelton_read_text(call, value, &text)) return false;
  bool fits = text.len == sizeof FORM - 1;
  for (size_t i = 0; fits && i < text.len; i++) {
    char c = text.at[i];
    fits = FORM[i] == '0' ? c >= '0' && c <= '9' : c == FORM[i];
  }
  if (!fits) return pelton_misfit(call, value, "a moment like 2010-12-01T08:26:00Z");
  *(pelton_text *)into = text;
  return true;
}

pelton_text day_of(pelton_text moment) {
  const char *end = memchr(moment.at, 'T', moment.len);
  return (pelton_text){moment.at, end == NULL ? moment.len : (size_t)(end - moment.at)};
}
