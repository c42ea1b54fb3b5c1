//! JSON in and out, with failures that name the field.

mod shape;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// Reads `data`; a failure says what of `what` is wrong and where, for example
/// ``payload: quantity: invalid type: string "six", expected i64 at line 1 column 31``.
pub fn read<T: DeserializeOwned>(what: impl FnOnce() -> String, data: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(data).map_err(|error| explain::<T>(&what(), data, &error))
}

/// Reads an event's payload. Where an object is expected a list is refused: serde would take its items for the fields, in
/// their order.
pub fn read_payload<T: DeserializeOwned>(data: &[u8]) -> Result<T, Failure> {
    let is_list = data.trim_ascii_start().starts_with(b"[");
    if is_list && shape::is_struct::<T>() {
        return Err(Failure::reject("payload: a list, where an object is expected"));
    }
    read(|| "payload".to_owned(), data)
}

/// Writes `value`; fails only for what JSON cannot say, such as maps whose keys are no texts.
pub fn write<T: Serialize + ?Sized>(what: impl FnOnce() -> String, value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::Reject(format!("{}: {error}", what())))
}

/// Reads once more, now keeping track of the path, so that reading what is right costs nothing extra.
#[cold]
fn explain<T: DeserializeOwned>(what: &str, data: &[u8], error: &serde_json::Error) -> Failure {
    let mut reader = serde_json::Deserializer::from_slice(data);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if error.path().iter().len() > 0 => Failure::Reject(format!("{what}: {error}")),
        _ => Failure::Reject(format!("{what}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Line {
        quantity: i64,
    }

    #[test]
    fn a_failure_names_the_field_and_the_place() {
        for (data, expected) in [
            (
                r#"{"lines":[{"quantity":"six"}]}"#,
                r#"payload: lines[0].quantity: invalid type: string "six", expected i64 at line 1 column 27"#,
            ),
            (r#"{"lines":[{}]}"#, "payload: lines[0]: missing field `quantity` at line 1 column 12"),
            ("{}", "payload: missing field `lines` at line 1 column 2"),
            (r#"{"lines":["#, "payload: lines: EOF while parsing a list at line 1 column 10"),
            ("", "payload: EOF while parsing a value at line 1 column 0"),
            (r#"{"lines":[]} {}"#, "payload: trailing characters at line 1 column 14"),
        ] {
            let failure = read::<Order>(|| "payload".into(), data.as_bytes()).err();
            assert_eq!(failure, Some(Failure::reject(expected)), "{data}");
        }
    }
}
