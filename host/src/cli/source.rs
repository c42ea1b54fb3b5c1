//! `pelton source`: makes a stream that modules can read of one that they cannot.

use serde::Serialize;

use super::Common;
use super::output::{Format, print, write};
use crate::config::Period;
use crate::host::connect;
use crate::route::Filter;
use crate::source::copy::{self, Plan, Wish};
use crate::source::streams::{self, Difference, Wanted};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Source {
    /// The stream with workqueue or interest retention
    stream: String,
    /// The name of its copy; without it that of the stream with -LOG behind it
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Copy only what passes this filter
    #[arg(long, value_parser = filter)]
    filter: Option<Filter>,
    /// Servers that keep a copy; without it as many as of the stream
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// How long it keeps messages, like `90d`; without it for ever
    #[arg(long, value_name = "PERIOD")]
    max_age: Option<Period>,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
A stream with workqueue or interest retention forgets what was acknowledged, so that nobody can go on behind a checkpoint in it.
Its copy has limits retention and the same subjects, in the same order; a module reads that one. The server copies each
message once, and has the stream forget it when it is stored in the copy. Other consumers of the stream go on as before.

Prints how the copy differs from what is there, makes it, and says what to put into the config so that `pelton run` verifies
it. Done twice it does nothing.

Examples:
  pelton source JOBS
  pelton source JOBS --as JOBS-EU --filter 'jobs.eu.>' --max-age 90d";

/// What was done.
#[derive(Serialize)]
struct Done {
    stream: String,
    retention: String,
    /// The copy; none if the stream needs none.
    copy: Option<String>,
    /// What was made or changed; none if all was as it is to be.
    made: Option<Difference>,
    /// How the config declares the copy.
    config: Option<String>,
}

fn filter(text: &str) -> Result<Filter, String> {
    text.to_owned().try_into()
}

impl Source {
    pub async fn main(self) -> anyhow::Result<()> {
        let Self { stream, name, filter, replicas, max_age, common } = self;
        let config = common.load()?;
        let context = connect(&config.nats).await?.jetstream();
        let filter = filter.map(|filter| filter.as_str().to_owned());
        let source = streams::Source { stream: stream.clone(), filter };
        let wish = Wish { source, name, replicas, max_age: max_age.map(|age| age.0) };
        let Plan { retention, copy, difference } = copy::plan(&context, wish, &config.streams).await?;
        if let Some(difference) = &difference {
            if common.output == Format::Text {
                write(&format!("{difference}\n"))?;
            }
            difference.apply(&context).await?;
        }
        let done = Done {
            stream,
            retention: format!("{retention:?}").to_lowercase(),
            config: copy.as_ref().map(declared),
            copy: copy.map(|copy| copy.name),
            made: difference,
        };
        print(common.output, &done, shown)
    }
}

/// How a config declares a copy.
fn declared(copy: &Wanted) -> String {
    let sources = copy.sources.iter().map(|source| match &source.filter {
        None => format!("{:?}", source.stream),
        Some(filter) => format!("{{ stream = {:?}, filter = {filter:?} }}", source.stream),
    });
    let sources = sources.collect::<Vec<_>>().join(", ");
    let age = copy.max_age.map_or_else(String::new, |age| format!("max_age = \"{}\"\n", Period(age)));
    format!("[streams.{}]\nsources = [{sources}]\nreplicas = {}\n{age}", copy.name, copy.replicas)
}

fn shown(done: &Done) -> String {
    let Done { stream, retention, copy, made, config } = done;
    let (Some(copy), Some(config)) = (copy, config) else {
        return format!("stream {stream} has {retention} retention: modules read it as it is, and nothing was made");
    };
    let made = if made.is_some() { "copies" } else { "copied before, as it is to be," };
    let config = config.trim_end().replace('\n', "\n  ");
    format!(
        "stream {copy} {made} {stream}\n\nThe module reads it with\n\n  input = {{ stream = \"{copy}\" }}\n\nand the config \
         declares it with\n\n  {config}"
    )
}
