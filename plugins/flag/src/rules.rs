//! What a proper invoice line looks like.

use retail::{Line, Money};

/// The names of the rules that `line` breaks.
pub fn broken(line: &Line) -> impl Iterator<Item = &'static str> {
    let rules = [
        ("negative-price", line.unit_price < Money::ZERO),
        ("zero-price", line.unit_price == Money::ZERO),
        ("negative-quantity", line.quantity < 0 && !line.is_cancellation()),
        ("stock-code", !begins_with_five_digits(&line.stock_code)),
    ];
    let broken = rules.into_iter().filter(|(_, is_broken)| *is_broken);
    broken.map(|(rule, _)| rule)
}

fn begins_with_five_digits(code: &str) -> bool {
    let digits = code.bytes().take_while(u8::is_ascii_digit);
    digits.count() >= 5
}
