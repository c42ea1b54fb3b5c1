//! Whether the app stream is still the one that was seen. A running host looks again and again.

use std::time::Duration;

use tracing::warn;

use super::lanes::Host;
use super::{App, Error, prepare};

/// How often it looks, and notes how far the stream is.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// So many times another app stream is found, before the host ends for it.
const ENOUGH: u32 = 3;

/// How many times another app stream was found, since the one that was seen was there. A server that has just lost its place
/// as leader may tell once how it was before.
#[derive(Debug, Default)]
pub(super) struct Doubts(u32);

impl Doubts {
    /// Takes in what a look came to; true if the host is to end for it. A look that found nothing out changes nothing.
    fn after(&mut self, looked: &Result<(), Error>) -> bool {
        match looked {
            Ok(()) => self.0 = 0,
            Err(error) if error.is_other_stream() => self.0 += 1,
            Err(_) => return false,
        }
        self.0 >= ENOUGH
    }
}

impl Host {
    /// Notes how far the app stream is, if it is still the one that was seen. Gives why it is not, if the host is to end for it.
    pub(super) async fn witness(&mut self) -> Option<Error> {
        let App { witness, subjects, .. } = &self.app;
        let looked = match prepare::recognised(&self.connections.jetstream(), subjects, witness).await {
            Ok((seen, Some(found))) => witness.note(seen, found.info()).await.map_err(Error::from),
            Ok((_, None)) => Ok(()),
            Err(error) => Err(error),
        };
        let ends = self.doubts.after(&looked);
        let error = looked.err()?;
        if error.is_other_stream() {
            warn!(%error, "the app stream is not the one that was seen");
        } else {
            warn!(%error, "the witness of the app stream cannot be read or noted");
        }
        ends.then_some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::witness;

    #[test]
    fn only_another_stream_found_three_times_without_the_right_one_between_them_ends_the_host() {
        let other = || {
            Err(witness::Error::Recreated {
                stream: "KV_a".into(),
                created: "1".into(),
                found: "2".into(),
                bucket: "b".into(),
            }
            .into())
        };
        let away = || Err(witness::Error::Api { bucket: "b".into(), cause: "timed out".into() }.into());
        for (looks, ends) in [
            (vec![other(), other(), other()], true),
            (vec![other(), away(), other(), away(), other()], true),
            (vec![other(), other(), Ok(()), other(), other()], false),
            (vec![away(), away(), away(), away()], false),
        ] {
            let mut doubts = Doubts::default();
            assert_eq!(looks.iter().any(|looked| doubts.after(looked)), ends, "{looks:?}");
        }
    }
}
