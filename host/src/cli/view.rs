//! `pelton view`: the views of an app.

use serde_json::Value;

use super::Common;
use super::output::{print, table};
use crate::query::views::View;
use crate::subject::Name;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List the views, or the keys of one
    #[command(after_help = "Examples:\n  pelton view ls\n  pelton view ls totals")]
    Ls {
        /// The view
        view: Option<Name>,
        #[command(flatten)]
        common: Common,
    },
    /// Print the value of a key
    #[command(after_help = "Example:\n  pelton view get totals 'United Kingdom'")]
    Get {
        /// The view
        view: Name,
        /// The key
        key: String,
        #[command(flatten)]
        common: Common,
    },
}

impl Verb {
    pub async fn main(self) -> anyhow::Result<()> {
        match self {
            Self::Ls { view: None, common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.views().await?, |views| {
                    let row =
                        |view: &View| [view.view.to_string(), view.generation.to_string(), view.module.to_string()];
                    table(["VIEW", "GENERATION", "MODULE"], views.iter().map(row))
                })
            }
            Self::Ls { view: Some(view), common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.keys(&view).await?, |keys| keys.join("\n"))
            }
            Self::Get { view, key, common } => {
                let reading = common.read().await?;
                let (_, value) = reading.query.entry(&view, &key).await?;
                let text = String::from_utf8_lossy(&value).into_owned();
                let json = serde_json::from_slice(&value).unwrap_or_else(|_| Value::String(text.clone()));
                print(reading.output, &json, |_| text)
            }
        }
    }
}
