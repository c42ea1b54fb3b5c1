//! Apps with the guest `probe`, which does what its input says.

use anyhow::Result;
use pelton_tests::{App, stored};

/// A module `probe` on the stream `IN`; its key is the subject's second token. `more` is more of its table.
pub fn module(more: &str) -> String {
    format!(
        "[modules.probe]\nplugin = \"probe.wasm\"\ninput = {{ stream = \"IN\" }}\nkey = {{ token = 2 }}\n\
         views = [\"v\"]\nemits = [\"out\"]\n{more}\n"
    )
}

/// The inputs that the events of the category `out` came from, in order.
pub async fn causes(app: &App) -> Result<Vec<u64>> {
    causes_of(app, "IN").await
}

/// The same of another stream.
pub async fn causes_of(app: &App, stream: &str) -> Result<Vec<u64>> {
    let events = stored::events(app, "out").await?;
    let inputs = events.iter().filter_map(|event| event.header("Pelton-Input").rsplit_once(':'));
    Ok(inputs.filter(|(of, _)| *of == stream).filter_map(|(_, at)| at.parse().ok()).collect())
}
