//! The web page in a real browser: what a person sees of an app, and does to it. Pictures are kept in
//! `target/screenshots`.

use anyhow::Result;
use pelton_tests::{App, Host, browser, browser::Browser, eventually};
use serde_json::json;

use super::{HOSTILE, SOON, TOKEN, app, order};

pub const DESKTOP: (u32, u32) = (1280, 800);
pub const PHONE: (u32, u32) = (390, 844);

/// A browser that has the token, on the page of an app with something of everything in it; none where there is no browser.
pub async fn opened() -> Result<Option<(App, Host, Browser, String)>> {
    let Some(folder) = browser::installed()? else { return Ok(None) };
    let (app, host, http) = app().await?;
    for key in ["a", "b"] {
        let value = json!({"name": HOSTILE, "count": 1}).to_string();
        order(&app, key, &json!([{"write": {"key": key, "value": value}}, {"emit": {"n": 3, "size": 20}}])).await?;
    }
    order(&app, "a", &json!([{"log": HOSTILE}, {"require": "switch"}])).await?;
    order(&app, "b", &json!([{"reject": HOSTILE}])).await?;
    app.covered("fold", 1, 1).await?;
    let browser = Browser::start(&folder).await?;
    let base = format!("http://{}", http.address());
    browser.screen(DESKTOP, false).await?;
    browser.open(&format!("{base}/#/modules?token={TOKEN}")).await?;
    browser.shows(&["probe", "fold", "running"]).await?;
    Ok(Some((app, host, browser, base)))
}

/// Checks that nothing of what guests and producers say became more than text, and that nothing was refused or failed.
pub async fn is_clean(browser: &Browser) -> Result<()> {
    assert_ne!(browser.run("return document.title").await?, "owned");
    assert_eq!(browser.run("return document.querySelectorAll('main img[src=x], main script').length").await?, 0);
    let complaints = browser.complaints().await?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_shows_the_app_on_a_desk_and_on_a_phone_dark_and_light() -> Result<()> {
    let Some((_app, _host, browser, base)) = opened().await? else { return Ok(()) };
    assert!(!browser.run("return location.href").await?.to_string().contains(TOKEN), "the token stays in the address");
    let views: [(&str, &str, &[&str]); 9] = [
        ("modules", "modules", &["probe", "fold", "running", "Inputs/s"]),
        ("module", "modules/probe", &["Lanes", "done up to 4", "sha256:", "Pause"]),
        ("feed", "feed?since=1h", &["dead letter", "probe.emitted", "<script>"]),
        ("views", "views", &["v", "fold"]),
        ("view", "views/v", &["2 keys", "<script>"]),
        ("value", "views/v/a", &["\"count\": 1", "KV_demo:"]),
        ("dead-letters", "dead-letters", &["IN:3", "IN:4", "switch is missing", "<script>"]),
        ("dead-letter", "dead-letters/probe/0/3", &["switch is missing", "Replay", "logged last", "<script>"]),
        ("event", "events/IN/1", &["What it caused", "probe.emitted", "Under its key by now", "<img src=x"]),
    ];
    for (screen, size, dark) in [("light", DESKTOP, false), ("dark", DESKTOP, true), ("phone", PHONE, false)] {
        browser.screen(size, dark).await?;
        for (name, hash, parts) in views {
            browser.open(&format!("{base}/#/{hash}")).await?;
            browser.shows(parts).await?;
            browser.picture(&format!("{name}-{screen}")).await?;
            let wide = browser.run("return document.documentElement.scrollWidth <= innerWidth").await?;
            assert_eq!(wide, true, "{name} is wider than a {screen} screen");
            is_clean(&browser).await?;
        }
        browser.open(&format!("{base}/#/graph")).await?;
        browser.shows(&["stream IN", "events out"]).await?;
        browser.until("const drawing = document.querySelector('img.graph'); return drawing?.complete && drawing.naturalWidth > 100").await?;
        browser.picture(&format!("graph-{screen}")).await?;
        is_clean(&browser).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_and_discarded_and_modules_paused_by_hand() -> Result<()> {
    let Some((app, _host, browser, base)) = opened().await? else { return Ok(()) };
    browser.open(&format!("{base}/#/dead-letters/probe/0/3")).await?;
    browser.click("Replay").await?;
    browser.shows(&["failed again, reject: switch is missing"]).await?;
    order(&app, "a", &json!([{"write": {"key": "switch", "value": "on"}}])).await?;
    browser.click("Replay").await?;
    browser.shows(&["replayed: 0 events, 0 view writes"]).await?;

    browser.open(&format!("{base}/#/dead-letters/probe/0/4")).await?;
    browser.click("Discard").await?;
    browser.shows(&["Discard this dead letter?", "cannot be undone"]).await?;
    browser.picture("discard-light").await?;
    browser.click("Cancel").await?;
    assert_eq!(app.pelton_json(&["dlq", "ls"])?.as_array().map(Vec::len), Some(1));
    browser.click("Discard").await?;
    browser.until("document.querySelector('dialog .danger').click(); return true").await?;
    browser.shows(&["No dead letters"]).await?;
    assert_eq!(app.pelton_json(&["dlq", "ls"])?, json!([]));

    browser.open(&format!("{base}/#/modules/probe")).await?;
    browser.click("Pause").await?;
    browser.shows(&["paused", "Resume"]).await?;
    browser.click("Resume").await?;
    browser.shows(&["running", "Pause"]).await?;
    is_clean(&browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_on_by_itself_and_stops_when_asked() -> Result<()> {
    let Some((app, _host, browser, base)) = opened().await? else { return Ok(()) };
    browser.open(&format!("{base}/#/feed?kind=input&since=now")).await?;
    browser.shows(&["Nothing yet"]).await?;
    order(&app, "fresh", &json!([])).await?;
    browser.shows(&["fresh"]).await?;
    browser.click("Pause").await?;
    order(&app, "unseen", &json!([])).await?;
    assert!(!browser.shows(&["paused, 1 new"]).await?.contains("unseen"));
    browser.click("Go on").await?;
    browser.shows(&["unseen"]).await?;
    is_clean(&browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_searched_as_they_are_typed_and_values_too() -> Result<()> {
    let Some((app, _host, browser, base)) = opened().await? else { return Ok(()) };
    order(
        &app,
        "a",
        &json!([{"writes": {"n": 150, "key": "many"}}, {"write": {"key": "needle", "value": "in a haystack"}}]),
    )
    .await?;
    browser.open(&format!("{base}/#/views/v")).await?;
    browser.shows(&["100 keys, and there are more"]).await?;
    browser.click("More").await?;
    browser.shows(&["153 keys"]).await?;
    browser.run("document.querySelector('h1').focus()").await?;
    browser.types("/need").await?;
    browser.shows(&["1 keys begin with “need”", "needle"]).await?;
    assert!(browser.run("return location.hash").await?.to_string().contains("search=need"));
    browser.open(&format!("{base}/#/views/v?search=HAYSTACK&how=hold")).await?;
    browser.shows(&["1 of 153 keys hold", "needle"]).await?;
    browser.click("needle").await?;
    browser.shows(&["in a haystack"]).await?;
    is_clean(&browser).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_the_token_and_says_when_it_is_wrong() -> Result<()> {
    let Some((_app, _host, browser, _)) = opened().await? else { return Ok(()) };
    browser.run("sessionStorage.clear()").await?;
    browser.run("location.reload()").await?;
    browser.shows(&["This host wants its token"]).await?;
    browser.picture("token-light").await?;
    browser.types("not-the-token-of-this-host\u{e007}").await?;
    browser.until("return document.querySelector('#ask-token input')?.value === ''").await?;
    browser.types(&format!("{TOKEN}\u{e007}")).await?;
    browser.shows(&["probe", "running"]).await?;
    assert!(browser.run("return localStorage.length + document.cookie.length").await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_goes_away_is_told_and_what_was_seen_stays() -> Result<()> {
    let Some((_app, mut host, browser, base)) = opened().await? else { return Ok(()) };
    host.terminate().await?;
    browser.shows(&["The host does not answer", "away", "probe"]).await?;
    browser.picture("away-light").await?;
    browser.run("location.hash = '#/views'").await?;
    browser.shows(&["The host is away", "Try again"]).await?;
    assert!(base.starts_with("http://127.0.0.1"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_worked_with_the_keyboard_and_named_for_screen_readers() -> Result<()> {
    let Some((_app, _host, browser, base)) = opened().await? else { return Ok(()) };
    // From the top: skip to content, brand, the first view, the second; enter opens it, and its heading has the focus.
    browser.run("document.activeElement.blur()").await?;
    browser.types("\u{e004}\u{e004}\u{e004}\u{e004}\u{e007}").await?;
    browser
        .until("return document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'Hosts'")
        .await?;
    for hash in [
        "modules",
        "modules/probe",
        "hosts",
        "feed",
        "views/v",
        "dead-letters",
        "dead-letters/probe/0/3",
        "graph",
        "events/IN/1",
        "events",
    ] {
        browser.open(&format!("{base}/#/{hash}")).await?;
        browser
            .until(
                "return document.querySelector('main h1') !== null && document.querySelector('main .loading') === null",
            )
            .await?;
        let nameless = browser.run(NAMELESS).await?;
        assert_eq!(nameless, json!([]), "{hash}");
    }
    eventually("one heading", SOON, async || {
        Ok((browser.run("return document.querySelectorAll('h1').length").await? == 1).then_some(()))
    })
    .await
}

/// Whatever can be used or seen and has no name: controls without label, images without text, columns without title.
pub const NAMELESS: &str = "
const named = (one) => (one.innerText ?? '').trim() || one.getAttribute('aria-label') || one.getAttribute('title')
  || [...(one.labels ?? [])].some((label) => label.innerText.trim()) || one.getAttribute('alt');
const used = [...document.querySelectorAll('a, button, input, select, img, table')];
return used.filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 200));";
