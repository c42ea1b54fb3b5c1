//! `pelton view`: the views of an app.

use serde_json::Value;

use super::Common;
use super::output::{print, table};
use crate::subject::Name;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List the views, or the keys of one
    Ls {
        /// The view
        view: Option<Name>,
        #[command(flatten)]
        common: Common,
    },
    /// Print the value of a key
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
                    let rows = views.iter().map(|(view, generation)| [view.to_string(), generation.to_string()]);
                    table(["VIEW", "GENERATION"], rows)
                })
            }
            Self::Ls { view: Some(view), common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.keys(&view).await?, |keys| keys.join("\n"))
            }
            Self::Get { view, key, common } => {
                let reading = common.read().await?;
                let value = reading.query.value(&view, &key).await?;
                let text = String::from_utf8_lossy(&value).into_owned();
                let json = serde_json::from_slice(&value).unwrap_or_else(|_| Value::String(text.clone()));
                print(reading.output, &json, |_| text)
            }
        }
    }
}
