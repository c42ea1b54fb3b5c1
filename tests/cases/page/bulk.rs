//! Many dead letters at once on the web page: replayed, discarded, and what stays.

use anyhow::Result;
use pelton_tests::{App, browser::Browser, eventually};
use serde_json::json;

use super::browser::{is_clean, opened};
use super::{SOON, order};

/// How many dead letters stand.
fn standing(app: &App) -> Result<usize> {
    Ok(app.pelton_json(&["dlq", "ls"])?.as_array().map_or(0, Vec::len))
}

/// The labels of the buttons that can be pressed.
async fn buttons(browser: &Browser) -> Result<String> {
    let script = "return [...document.querySelectorAll('main button')].filter((one) => !one.disabled).map((one) => one.innerText).join(', ')";
    Ok(browser.run(script).await?.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_that_are_shown_are_replayed_or_discarded_and_those_that_fail_again_stay() -> Result<()> {
    let Some((app, _host, browser, base)) = opened().await? else { return Ok(()) };
    // Two more that a switch heals, beside the one that is there and the one that never heals.
    for key in ["c", "d"] {
        order(&app, key, &json!([{"require": "switch"}])).await?;
    }
    browser.open(&format!("{base}/#/dead-letters")).await?;
    browser.shows(&["Replay these 4", "Discard these 4"]).await?;
    browser.picture("bulk-light").await?;
    order(&app, "a", &json!([{"write": {"key": "switch", "value": "on"}}])).await?;
    browser.click("Replay these 4").await?;
    browser.shows(&["3 replayed, 1 stay", "Replay these 1", "Discard these 1"]).await?;
    assert_eq!(standing(&app)?, 1);
    is_clean(&browser).await?;

    // Of those that a filter leaves only; nothing before it was asked twice.
    for key in ["e", "e", "f"] {
        order(&app, key, &json!([{"reject": format!("never {key}")}])).await?;
    }
    browser.open(&format!("{base}/#/dead-letters?key=e")).await?;
    browser.click("Discard these 2").await?;
    browser.shows(&["Discard 2 dead letters?", "cannot be undone"]).await?;
    browser.click("Cancel").await?;
    assert_eq!(standing(&app)?, 4);
    assert_eq!(buttons(&browser).await?, "Replay these 2, Discard these 2");
    browser.click("Discard these 2").await?;
    browser.until("document.querySelector('dialog .danger').click(); return true").await?;
    browser.shows(&["None like that", "2 discarded"]).await?;
    eventually("two to be gone", SOON, async || Ok((standing(&app)? == 2).then_some(()))).await?;
    is_clean(&browser).await
}
