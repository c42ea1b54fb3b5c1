//! A durable consumer for each module that nobody reads: by it stock tools and autoscalers see how far the module is, also
//! while no host runs.

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};

use super::{Error, InputStream, api};
use crate::event::Sequence;
use crate::route::Filter;
use crate::subject::Name;

/// The consumer of a module. No name holds the line between the two.
pub fn consumer_of(app: &Name, module: &Name) -> String {
    format!("pelton-{app}_{module}")
}

impl InputStream {
    /// Sets the consumer `name` to `covered`, and makes it if it is not there. Gives how many messages stand before it.
    pub async fn show_progress(&self, name: &str, covered: Sequence, filters: &[Filter]) -> Result<u64, Error> {
        let (next, filter_subjects) = (Some(covered.next().0), Filter::texts(filters));
        if let Ok(reset) = self.stream.reset_consumer(name, next).await
            && reset.info.config.filter_subjects == filter_subjects
        {
            return Ok(reset.info.num_pending);
        }
        let config = pull::Config {
            durable_name: Some(name.to_owned()),
            description: Some(
                "Pelton: how far a module is. Nobody reads it, and it is reset to the checkpoint".to_owned(),
            ),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            filter_subjects,
            ..pull::Config::default()
        };
        self.stream.create_consumer(config).await.map_err(|error| api(self.name(), &error))?;
        let reset = self.stream.reset_consumer(name, next).await.map_err(|error| api(self.name(), &error))?;
        Ok(reset.info.num_pending)
    }
}
