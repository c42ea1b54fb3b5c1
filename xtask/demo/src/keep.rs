//! A demo that keeps running: what to try on it, and comparing it again.

use std::{env, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use pelton_tests::{Host, Server};

use super::{count, data::Data, folder, folder::Folder, report, stored};

const NONE: &str = "no demo is kept running: start one with `cargo xtask demo --keep`";

/// What to try, as it can be typed in the folder where the demo was started.
pub async fn invitation(server: &Server, host: &Host, folder: &Folder) -> Result<String> {
    let (pelton, config) = (shown(&pelton_tests::binary("pelton")?)?, shown(&folder.config())?);
    let (page, token) = (host.http().await?.address(), folder.token()?);
    Ok(format!(
        "\nThe web page, where you may also act:\n  http://{page}/#/modules?token={token}\n\
         Everything keeps running until Ctrl-C, with nats-server at {}. Try in another terminal:\n  \
         {pelton} view get by-country \"United Kingdom\" -c {config}\n  \
         {pelton} dlq ls -c {config}\n  \
         {pelton} module ls -c {config}",
        server.url()
    ))
}

/// Compares what a kept demo holds by now with the count.
pub async fn check_again(folder: &Path, data: &Data) -> Result<ExitCode> {
    let note = folder::note(folder)?.filter(|note| note.finished).context(NONE)?;
    if note.data != data.digest {
        bail!("the demo that is kept running has other data: give the same --data");
    }
    let client = async_nats::connect(note.nats).await.context(NONE)?;
    let (stored, _) = stored::read(&client).await?;
    let (counted, _) = count::count(data)?;
    let (text, code) = report::verdict(&stored, &counted);
    println!("{text}");
    Ok(code)
}

/// A path as short as it can be typed here.
fn shown(path: &Path) -> Result<String> {
    let here = env::current_dir()?;
    Ok(path.strip_prefix(here).unwrap_or(path).display().to_string())
}
