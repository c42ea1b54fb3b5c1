//! Data as it is shown: JSON where it is JSON, else text, else base 64; cut where it is long. Pure.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Data of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Data {
    /// The beginning of data that is longer than what is shown: as text if it is text, else in base 64.
    Cut {
        /// The beginning.
        #[serde(flatten)]
        beginning: Beginning,
        /// The bytes of the whole.
        size: usize,
    },
    /// Anything that is neither JSON nor text.
    Bytes {
        /// In base 64.
        data_base64: String,
    },
    /// JSON; text that is no JSON is a JSON string.
    Json {
        /// The data.
        data: Value,
    },
    /// None.
    None {},
}

/// The beginning of data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Beginning {
    /// Text.
    #[serde(rename = "data_cut")]
    Text(String),
    /// Base 64.
    #[serde(rename = "data_cut_base64")]
    Bytes(String),
}

impl Data {
    /// How `bytes` are shown, in at most `largest` of them.
    pub fn of(bytes: &[u8], largest: usize) -> Self {
        if let Some(beginning) = bytes.get(..largest).filter(|_| bytes.len() > largest) {
            return Self::Cut { beginning: Beginning::of(beginning), size: bytes.len() };
        }
        if bytes.is_empty() {
            return Self::None {};
        }
        match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(data), _) => Self::Json { data },
            (Err(_), Ok(text)) => Self::Json { data: Value::String(text.to_owned()) },
            (Err(_), Err(_)) => Self::Bytes { data_base64: BASE64.encode(bytes) },
        }
    }

    /// In one line, for people.
    pub fn line(&self) -> String {
        match self {
            Self::Cut { beginning: Beginning::Text(text), size } => format!("{text}… ({size} bytes)"),
            Self::Cut { beginning: Beginning::Bytes(text), size } => format!("base64 {text}… ({size} bytes)"),
            Self::Bytes { data_base64 } => format!("base64 {data_base64}"),
            Self::Json { data: Value::String(text) } => text.clone(),
            Self::Json { data } => data.to_string(),
            Self::None {} => String::new(),
        }
    }
}

impl Beginning {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            // A character may have been cut in two.
            Err(error) if error.error_len().is_none() => {
                let whole = bytes.get(..error.valid_up_to()).unwrap_or_default();
                Self::Text(String::from_utf8_lossy(whole).into_owned())
            }
            Err(_) => Self::Bytes(BASE64.encode(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_shown_as_what_it_is_and_no_more_than_asked_for() {
        let cases: [(&[u8], Value, &str); 8] = [
            (br#"{"a":1}"#, json!({"data": {"a": 1}}), r#"{"a":1}"#),
            (b"12", json!({"data": 12}), "12"),
            (b"plain", json!({"data": "plain"}), "plain"),
            (b"", json!({}), ""),
            (&[0xff, 0xfe], json!({"data_base64": "//4="}), "base64 //4="),
            (b"longer than that", json!({"data_cut": "longer t", "size": 16}), "longer t… (16 bytes)"),
            ("abcdefgéé".as_bytes(), json!({"data_cut": "abcdefg", "size": 11}), "abcdefg… (11 bytes)"),
            (&[0xff; 9], json!({"data_cut_base64": "//////////8=", "size": 9}), "base64 //////////8=… (9 bytes)"),
        ];
        for (bytes, shown, line) in cases {
            let data = Data::of(bytes, 8);
            let value = serde_json::to_value(&data).unwrap();
            assert_eq!((value.clone(), data.line().as_str()), (shown, line));
            assert_eq!(serde_json::from_value::<Data>(value).unwrap(), data);
        }
    }
}
