//! Values of the config that have a form of their own: durations, sizes, lanes, starting points.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::event::Sequence;

/// A number of lanes, from 1 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Lanes(u16);

impl Lanes {
    /// Total order.
    pub const ONE: Self = Self(1);

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Lanes {
    type Error = &'static str;

    fn try_from(lanes: u16) -> Result<Self, Self::Error> {
        if (1..=256).contains(&lanes) { Ok(Self(lanes)) } else { Err("lanes go from 1 to 256") }
    }
}

/// Where a new module starts in its input stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum From {
    /// At the first message there is.
    #[default]
    First,
    /// Behind the last message there is.
    New,
    /// At this position.
    Sequence(Sequence),
    /// At the first message stored at this time or later.
    Time(OffsetDateTime),
}

impl<'de> Deserialize<'de> for From {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl de::Visitor<'_> for Form {
            type Value = From;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"first\", \"new\", a sequence from 1, or a time like \"2026-01-31T00:00:00Z\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<From, E> {
                match (text, OffsetDateTime::parse(text, &Rfc3339)) {
                    ("first", _) => Ok(From::First),
                    ("new", _) => Ok(From::New),
                    (_, Ok(time)) if u64::try_from(time.unix_timestamp_nanos()).is_ok_and(|ns| ns < u64::MAX / 2) => {
                        Ok(From::Time(time))
                    }
                    (_, Ok(_)) => Err(E::custom("the server counts time from 1970 to 2262")),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<From, E> {
                match u64::try_from(number) {
                    Ok(sequence) if sequence > 0 => Ok(From::Sequence(Sequence(sequence))),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// A duration like `"250ms"`, `"2s"`, `"1m"`, `"1h"` or `"30d"`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number_ends = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let in_unit = match (number.parse::<u64>(), unit) {
        (Ok(number), "ms") => Some(Duration::from_millis(number)),
        (Ok(number), "s") => Some(Duration::from_secs(number)),
        (Ok(number), "m") => Some(Duration::from_secs(number.saturating_mul(60))),
        (Ok(number), "h") => Some(Duration::from_secs(number.saturating_mul(60 * 60))),
        (Ok(number), "d") => Some(Duration::from_secs(number.saturating_mul(24 * 60 * 60))),
        _ => None,
    };
    match in_unit {
        Some(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err(de::Error::custom(format!(
            "{text:?} is no duration: write \"250ms\", \"2s\", \"1m\", \"1h\" or \"30d\""
        ))),
    }
}

/// A size like `"512KiB"` or `"64MiB"`.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let in_unit = units.iter().find_map(|(unit, shift)| {
        let number: usize = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(1 << shift)
    });
    match in_unit {
        Some(size) if size > 0 => Ok(Some(size)),
        _ => Err(de::Error::custom(format!("{text:?} is no size: write \"512KiB\", \"64MiB\" or \"1GiB\""))),
    }
}
