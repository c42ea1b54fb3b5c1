//! The versions of what Pelton stores as JSON. What a newer version wrote is refused, never taken for something else; fields
//! that this version does not know are passed over. Pure.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::subject::Generation;

/// Something that is stored with the version of its format.
pub trait Versioned: DeserializeOwned {
    /// The latest format that this version reads. What says no format is of the first.
    const FORMAT: u32 = 1;
}

/// The format of what says none.
pub fn first() -> u32 {
    1
}

/// A plain number, which has no format.
impl Versioned for Generation {}

/// Why something that is stored cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A newer version wrote it.
    #[error(
        "is of format {found}, and this version of Pelton reads formats up to {known}: a newer one wrote it. Upgrade this host"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// It is not of the expected form.
    #[error("holds something else than Pelton wrote: {0}")]
    Malformed(String),
}

/// What all formats have.
#[derive(Deserialize)]
struct Any {
    #[serde(default)]
    format: u32,
}

/// Reads what is stored.
pub fn read<T: Versioned>(json: &[u8]) -> Result<T, Error> {
    if let Ok(Any { format: found }) = serde_json::from_slice(json)
        && found > T::FORMAT
    {
        return Err(Error::Newer { found, known: T::FORMAT });
    }
    serde_json::from_slice(json).map_err(|cause| Error::Malformed(cause.to_string()))
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::Value;

    use super::*;
    use crate::commit::audit::Entry;
    use crate::commit::checkpoint::Checkpoint;
    use crate::commit::record::Record;
    use crate::commit::witness::Seen;
    use crate::dlq::DeadLetter;
    use crate::ownership::Heartbeat;

    /// As version 0.1 writes them. These bytes stay as they are: streams hold them.
    const CHECKPOINT: &str = r#"{"format":1,"epoch":3,"position":120,"covered":130,"hash":"9c0f00000000a1b2","stream":"ORDERS","created":"2026-01-31T00:00:00.123456789Z","takeovers":2,"owner":"0199c1d2-0000-7000-8000-000000000001"}"#;
    const RELEASED: &str = r#"{"format":1,"epoch":1,"position":0,"covered":0,"hash":null,"stream":"ORDERS","created":"2026-01-31T00:00:00Z","takeovers":0}"#;
    const RECORD: &str = r#"{"format":1,"module":"totals","stream":"ORDERS","filters":["orders.>"],"key":{"json":"/customer","missing":"nobody"},"hash":1,"lanes":8,"scaled":[{"lanes":4,"covered":[1,2,3,4]},{"lanes":2}],"views":["totals"],"plugin":"sha256:1","settings":"sha256:2","generation":2,"state":{"halted":"why"}}"#;
    const FIRST_RECORD: &str = r#"{"format":1,"module":"m","stream":"IN","filters":[],"key":{},"hash":1,"lanes":1,"views":[],"plugin":"sha256:1","settings":"","generation":1,"state":"running"}"#;
    const HEARTBEAT: &str = r#"{"format":1,"host":"0199c1d2-0000-7000-8000-000000000001","name":"machine:42","modules":{"totals":{"plugin":"sha256:1","settings":"sha256:2","able":true,"lanes":"0-3,7"}}}"#;
    const LETTER: &str = r#"{"format":1,"module":"totals","lane":3,"stream":"ORDERS","sequence":42,"subject":"orders.new","time":"2026-01-31T00:00:00Z","key":"a","headers":[["ce-id","1"]],"data":"{}","cause":{"kind":"trap","message":"m","backtrace":["f"]},"log":["l"],"attempts":2,"plugin":"sha256:1"}"#;
    const CUT_LETTER: &str = r#"{"format":1,"module":"m","lane":0,"stream":"IN","sequence":1,"subject":"in.a","time":"2026-01-31T00:00:00Z","headers":[],"data_cut_base64":"AA==","size":9,"sha256":"00","cause":{"kind":"size","message":"m"},"attempts":1,"plugin":"sha256:1"}"#;
    const WITNESS: &str = r#"{"format":1,"created":"2026-01-31T00:00:00Z","last":99}"#;
    const AUDIT: [&str; 4] = [
        r#"{"time":"2026-01-31T00:00:00Z","who":"me@here","act":"swap","module":"m","was":"sha256:1","plugin":"sha256:2","outcome":"stays","lane":3,"sequence":7}"#,
        r#"{"time":"2026-01-31T00:00:00Z","who":"me@here","act":"scale","module":"m","was":2,"lanes":5,"behind":7}"#,
        r#"{"time":"2026-01-31T00:00:00Z","who":"me@here","act":"reset","module":"m","behind":7,"generation":2}"#,
        r#"{"time":"2026-01-31T00:00:00Z","who":"me@here","act":"replay","module":"m","lane":2,"sequence":4,"behind":9}"#,
    ];

    /// Reads what was written before, writes it as it was, and passes over what a later one may add to it.
    fn kept<T: Serialize + DeserializeOwned>(json: &str) {
        let read: T = serde_json::from_str(json).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(json).unwrap());
        let more = json.replacen('{', r#"{"added_later":{"a":[1]},"#, 1);
        let again: T = serde_json::from_str(&more).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), written);
    }

    #[test]
    fn what_the_first_format_wrote_is_read_and_written_alike() {
        [CHECKPOINT, RELEASED].iter().for_each(|json| kept::<Checkpoint>(json));
        [RECORD, FIRST_RECORD].iter().for_each(|json| kept::<Record>(json));
        [LETTER, CUT_LETTER].iter().for_each(|json| kept::<DeadLetter>(json));
        kept::<Heartbeat>(HEARTBEAT);
        kept::<Seen>(WITNESS);
        AUDIT.iter().for_each(|json| kept::<Entry>(json));
        let checkpoint: Checkpoint = read(CHECKPOINT.as_bytes()).unwrap();
        assert_eq!((checkpoint.covered.0, checkpoint.takeovers, checkpoint.owner.is_some()), (130, 2, true));
    }

    #[test]
    fn what_says_no_format_is_of_the_first() {
        let before = LETTER.replace(r#""format":1,"#, "");
        assert_eq!(read::<DeadLetter>(before.as_bytes()).unwrap(), read::<DeadLetter>(LETTER.as_bytes()).unwrap());
        let before = WITNESS.replace(r#""format":1,"#, "");
        assert_eq!(read::<Seen>(before.as_bytes()).unwrap(), read::<Seen>(WITNESS.as_bytes()).unwrap());
        assert!(read::<Generation>(b"2").is_ok());
    }

    #[test]
    fn what_a_newer_version_wrote_is_refused_even_if_it_looks_alike() {
        fn refused<T: Versioned>(json: &str) {
            for newer in [json.replace(r#""format":1"#, r#""format":2"#), r#"{"format":2,"other":[]}"#.to_owned()] {
                let error = read::<T>(newer.as_bytes()).err().unwrap();
                assert!(matches!(error, Error::Newer { found: 2, known: 1 }), "{error}");
                let said = error.to_string();
                assert!(said.contains("format 2") && said.contains("up to 1") && said.contains("Upgrade"), "{said}");
            }
        }
        refused::<Checkpoint>(CHECKPOINT);
        refused::<Record>(RECORD);
        refused::<DeadLetter>(LETTER);
        refused::<Seen>(WITNESS);
        assert!(matches!(read::<Record>(b"{}"), Err(Error::Malformed(_))));
    }
}
