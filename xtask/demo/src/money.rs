//! Exact money as a whole number of millionths, for the independent count.

use anyhow::{Context, Result};

/// Digits kept behind the point; the data has three at most.
const DIGITS: usize = 6;
const ONE: i128 = 1_000_000;
const CENT: u128 = 10_000;

/// Reads `-11062.06`; refuses what it cannot hold exactly.
pub fn parse(text: &str) -> Result<i128> {
    exact(text).with_context(|| format!("{text:?} is no amount with at most {DIGITS} decimals"))
}

/// Writes it rounded to two decimals, with thousands apart.
pub fn show(millionths: i128) -> String {
    let cents = (millionths.unsigned_abs() + CENT / 2) / CENT;
    let sign = if millionths < 0 && cents > 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", thousands(cents / 100), cents % 100)
}

/// Writes a whole number with its thousands apart.
pub fn thousands(number: impl ToString) -> String {
    let digits = number.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = sign.to_owned();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn exact(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if decimals.len() > DIGITS || !(whole.to_owned() + decimals).bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millionths: i128 = format!("{decimals:0<DIGITS$}").parse().ok()?;
    Some(sign * (whole.parse::<i128>().ok()? * ONE + millionths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, millionths, shown) in [
            ("2.55", 2_550_000, "2.55"),
            ("2.1", 2_100_000, "2.10"),
            ("0", 0, "0.00"),
            ("0.001", 1_000, "0.00"),
            ("-0.005", -5_000, "-0.01"),
            ("-11062.06", -11_062_060_000, "-11,062.06"),
            ("8187806", 8_187_806_000_000, "8,187,806.00"),
        ] {
            assert_eq!(parse(text).ok(), Some(millionths), "{text}");
            assert_eq!(show(millionths), shown);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "2,55", "1e3", "--1", "0.0000001", "+1", ".5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
