//! `pelton graph`: who feeds whom.

use std::collections::BTreeMap;

use super::Common;
use super::output::print;
use crate::graph::{self, Live};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Graph {
    /// With the modules' states and lags, which takes NATS
    #[arg(long)]
    live: bool,
    /// As a drawing
    #[arg(long, conflicts_with = "output")]
    format: Option<Drawing>,
    #[command(flatten)]
    common: Common,
}

/// How to draw.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Drawing {
    /// In the language of Graphviz
    Dot,
    /// An image for a browser, dark or light as it is
    Svg,
}

const EXAMPLES: &str = "\
Examples:
  pelton graph                             a tree of streams, modules, events and views
  pelton graph --live                      with states and lags
  pelton graph --format svg > app.svg      an image
  pelton graph --format dot | dot -Tpdf    by Graphviz";

impl Graph {
    pub async fn main(self) -> anyhow::Result<()> {
        let mut graph = graph::Graph::of(&self.common.load()?);
        if self.live {
            let modules = self.common.read().await?.query.modules().await?;
            let live = modules.into_iter().map(|module| {
                let name = module.record.module.to_string();
                (name, Live { state: Some(module.record.state), lag: module.lag })
            });
            graph = graph.with_live(&live.collect::<BTreeMap<_, _>>());
        }
        print(self.common.output, &graph, |graph| match self.format {
            None => graph.text(),
            Some(Drawing::Dot) => graph.dot(),
            Some(Drawing::Svg) => graph.svg(),
        })
    }
}
