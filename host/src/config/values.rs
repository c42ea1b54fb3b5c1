//! Values of the config that have a form of their own: durations, sizes, lanes, starting points.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, de};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::event::Sequence;

/// A number of lanes, from 1 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u16")]
pub struct Lanes(u16);

impl FromStr for Lanes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lanes = text.parse::<u16>().map_err(|error| error.to_string())?;
        Self::try_from(lanes).map_err(str::to_owned)
    }
}

impl Lanes {
    /// Total order.
    pub const ONE: Self = Self(1);
    /// The most there can be.
    pub const MOST: u16 = 256;

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Lanes {
    type Error = &'static str;

    fn try_from(lanes: u16) -> Result<Self, Self::Error> {
        if (1..=Self::MOST).contains(&lanes) { Ok(Self(lanes)) } else { Err("lanes go from 1 to 256") }
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

impl std::str::FromStr for From {
    type Err = de::value::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<i64>() {
            Ok(number) => Self::deserialize(number.into_deserializer()),
            Err(_) => Self::deserialize(text.into_deserializer()),
        }
    }
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
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Period(pub Duration);

/// The units of a [`Period`], in milliseconds.
const PERIODS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = number_in(text, PERIODS).filter(|millis| *millis > 0);
        let bad = || format!("{text:?} is no duration: write \"250ms\", \"2s\", \"1m\", \"1h\" or \"30d\"");
        millis.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(bad)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_largest_unit(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), PERIODS)
    }
}

/// A size like `"512KiB"` or `"64MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Size(pub usize);

/// The units of a [`Size`], in bytes.
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = number_in(&text, SIZES).and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        let bad = || format!("{text:?} is no size: write \"512KiB\", \"64MiB\" or \"1GiB\"");
        bytes.map(Self).ok_or_else(|| de::Error::custom(bad()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_largest_unit(f, self.0 as u64, SIZES)
    }
}

/// The whole number of smallest units that a number with a unit stands for.
fn number_in<const N: usize>(text: &str, units: [(&str, u64); N]) -> Option<u64> {
    let number_ends = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(number_ends);
    let (_, factor) = units.into_iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes `number` in the largest unit that leaves it whole.
fn in_largest_unit<const N: usize>(f: &mut fmt::Formatter<'_>, number: u64, units: [(&str, u64); N]) -> fmt::Result {
    let whole = units.into_iter().rev().find(|(_, factor)| number.is_multiple_of(*factor));
    match whole {
        Some((unit, factor)) => write!(f, "{}{unit}", number / factor),
        None => write!(f, "{number}"),
    }
}

/// A setting of a plugin: text; numbers and booleans become text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Scalar")]
pub struct Setting(pub String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "text, a number, or a boolean")]
enum Scalar {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

impl std::convert::From<Scalar> for Setting {
    fn from(scalar: Scalar) -> Self {
        Self(match scalar {
            Scalar::Text(text) => text,
            Scalar::Integer(number) => number.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Boolean(value) => value.to_string(),
        })
    }
}
