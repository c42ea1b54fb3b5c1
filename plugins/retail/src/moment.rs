//! Moments, to the second and in UTC.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment in RFC 3339, to the second and in UTC: `2010-12-01T08:26:00Z`. The order of these texts is that of time.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct Moment(String);

impl Moment {
    /// Its day, for example `2010-12-01`.
    pub fn day(&self) -> &str {
        self.0.split('T').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const FORM: &[u8] = b"0000-00-00T00:00:00Z";
        let fits = |(byte, form): (u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        };
        if text.len() == FORM.len() && text.bytes().zip(FORM).all(fits) {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is no moment like 2010-12-01T08:26:00Z"))
        }
    }
}
