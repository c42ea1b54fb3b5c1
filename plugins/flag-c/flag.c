// The plugin `flag` in C: announces cancelled invoices, once each, and every rule that an invoice line breaks.

#include "pelton.h"
#include "retail.h"

typedef struct {
  pelton_text invoice, stock_code, description;
  int64_t quantity;
  money unit_price;
  pelton_text customer, country, sold_at;
} line;

static const pelton_field LINE[] = {
    PELTON_FIELD(line, invoice, pelton_read_text),
    PELTON_FIELD(line, stock_code, pelton_read_text),
    PELTON_FIELD(line, description, pelton_read_text),
    PELTON_FIELD(line, quantity, pelton_read_int64),
    PELTON_FIELD(line, unit_price, read_money),
    PELTON_OPTIONAL(line, customer, pelton_read_text),
    PELTON_FIELD(line, country, pelton_read_text),
    PELTON_FIELD(line, sold_at, read_moment),
};

static void announce(pelton_call *call, const line *line) {
  pelton_json *data = pelton_emit(call, "invoices", "invoice.cancelled", line->invoice);
  pelton_open_object(data, NULL);
  pelton_write_text(data, "invoice", line->invoice);
  pelton_write_text(data, "day", day_of(line->sold_at));
  pelton_write_text(data, "country", line->country);
  if (line->customer.at != NULL) pelton_write_text(data, "customer", line->customer);
  else pelton_write_null(data, "customer");
  pelton_close_object(data);
  pelton_write_bool(pelton_put(call, "cancelled", line->invoice), NULL, true);
}

static void flag(pelton_call *call, const line *line, const char *rule) {
  pelton_json *data = pelton_emit(call, "lines", "line.flagged", line->invoice);
  pelton_open_object(data, NULL);
  pelton_write_text(data, "rule", pelton_text_of(rule));
  pelton_write_text(data, "invoice", line->invoice);
  pelton_write_text(data, "stock_code", line->stock_code);
  pelton_write_int64(data, "quantity", line->quantity);
  pelton_write_text(data, "unit_price", line->unit_price.text);
  pelton_close_object(data);
}

static bool begins_with_five_digits(pelton_text code) {
  size_t digits = 0;
  while (digits < code.len && code.at[digits] >= '0' && code.at[digits] <= '9') digits++;
  return digits >= 5;
}

void pelton_handle(pelton_call *call) {
  line line;
  if (!PELTON_READ(call, LINE, &line)) return;
  bool is_cancellation = line.invoice.len > 0 && line.invoice.at[0] == 'C';
  bool known = false;
  if (is_cancellation && !pelton_get(call, "cancelled", line.invoice, pelton_read_bool, &known)) announce(call, &line);
  if (line.unit_price.sign < 0) flag(call, &line, "negative-price");
  if (line.unit_price.sign == 0) flag(call, &line, "zero-price");
  if (line.quantity < 0 && !is_cancellation) flag(call, &line, "negative-quantity");
  if (!begins_with_five_digits(line.stock_code)) flag(call, &line, "stock-code");
}
