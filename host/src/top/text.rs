//! Numbers as a person reads them at a glance, each in few characters. Pure.

/// What stands for a figure that nobody knows.
pub const UNKNOWN: &str = "-";

/// A number of things: `12,345`, `1.2M`.
pub fn count(count: u64) -> String {
    match count {
        0..100_000 => grouped(count),
        _ => large(count as f64),
    }
}

/// So many in a second: `0`, `0.3`, `1,203`, `1.2M`.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(rate) if rate <= 0.0 => "0".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) if rate < 99_999.5 => grouped(rate.round() as u64),
        Some(rate) => large(rate),
    }
}

/// A duration: `0s`, `1.4µs`, `28ms`, `12s`, `3m`, `2h`, `5d`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "0s".to_owned(),
        s if s < 999.5e-6 => few(s * 1e6, "µs"),
        s if s < 0.9995 => few(s * 1e3, "ms"),
        s if s < 99.5 => few(s, "s"),
        s if s < 99.5 * 60.0 => few(s / 60.0, "m"),
        s if s < 48.0 * 3_600.0 => few(s / 3_600.0, "h"),
        s => few(s / 86_400.0, "d"),
    }
}

/// The same for a figure that may be unknown.
pub fn maybe_seconds(known: Option<f64>) -> String {
    known.map_or_else(|| UNKNOWN.to_owned(), seconds)
}

/// `one` of a thing, or so many of `several`.
pub fn of(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

/// Two digits, or all that stand before the point.
fn few(value: f64, unit: &str) -> String {
    if value < 9.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

fn large(value: f64) -> String {
    const UNITS: [&str; 5] = ["k", "M", "G", "T", "P"];
    let (mut value, mut unit) = (value / 1e3, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    few(value, UNITS.get(unit).copied().unwrap_or_default())
}

fn grouped(value: u64) -> String {
    if value < 1_000 { value.to_string() } else { format!("{},{:03}", value / 1_000, value % 1_000) }
}

/// `text` on lines of at most `width` characters, broken between words where it can be; its own lines are kept.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let (has, needs) = (line.chars().count(), word.chars().count());
            if has > 0 && has + 1 + needs > width {
                lines.push(std::mem::take(&mut line));
            } else if has > 0 {
                line.push(' ');
            }
            line.push_str(word);
            while width > 0 && line.chars().count() > width {
                let rest = line.chars().skip(width).collect();
                line.truncate(line.char_indices().nth(width).map_or(line.len(), |(end, _)| end));
                lines.push(std::mem::replace(&mut line, rest));
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_at_every_size() {
        let counts = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (99_999, "99,999"),
            (100_000, "100k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (1_234_567, "1.2M"),
            (u64::MAX, "18447P"),
        ];
        for (number, text) in counts {
            assert_eq!(count(number), text);
        }
        let rates = [
            (None, "-"),
            (Some(0.0), "0"),
            (Some(0.04), "0.0"),
            (Some(9.94), "9.9"),
            (Some(9.96), "10"),
            (Some(1_203.4), "1,203"),
            (Some(99_999.4), "99,999"),
            (Some(99_999.6), "100k"),
        ];
        for (number, text) in rates {
            assert_eq!(rate(number), text);
        }
        let times = [
            (0.0, "0s"),
            (1.44e-6, "1.4µs"),
            (999.4e-6, "999µs"),
            (999.6e-6, "1.0ms"),
            (0.028, "28ms"),
            (1.0, "1.0s"),
            (99.0, "99s"),
            (100.0, "1.7m"),
            (3_600.0, "60m"),
            (7_200.0, "2.0h"),
            (864_000.0, "10d"),
        ];
        for (number, text) in times {
            assert_eq!(seconds(number), text);
        }
    }

    #[test]
    fn text_is_broken_between_words_and_long_words_anywhere() {
        let cases: [(&str, usize, &[&str]); 6] = [
            ("one two three", 7, &["one two", "three"]),
            ("one\ntwo", 7, &["one", "two"]),
            ("abcdefghij", 4, &["abcd", "efgh", "ij"]),
            ("a abcdefgh b", 4, &["a", "abcd", "efgh", "b"]),
            ("äöü äöü", 3, &["äöü", "äöü"]),
            ("any", 0, &["any"]),
        ];
        for (text, width, lines) in cases {
            assert_eq!(wrapped(text, width), lines, "{text}");
        }
    }
}
