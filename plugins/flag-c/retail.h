// Amounts of money and moments, as the other languages' plugins of the retail example read them.
#ifndef RETAIL_H
#define RETAIL_H

#include "pelton.h"

// An amount of money, exact to 28 digits: its sign (-1, 0 or 1) and its text.
typedef struct {
  int sign;
  pelton_text text;
} money;

pelton_reader read_money;  // into a money
// A moment in UTC and to the second, such as 2010-12-01T08:26:00Z.
pelton_reader read_moment;  // into a pelton_text

// The day of a moment.
pelton_text day_of(pelton_text moment);

#endif
