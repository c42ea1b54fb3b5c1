//! Two hosts on the web page: who runs which lanes, who would run something else, and what changes when one dies.

use std::fs;

use anyhow::Result;
use pelton_tests::{App, Host, SOON, browser, browser::Browser, eventually};
use serde_json::Value;

use super::browser::{DESKTOP, NAMELESS, PHONE, is_clean};
use super::{FOLD, TOKEN};
use crate::probe;

const LANES: &str = "lanes = 16";

fn configure(app: &App, more: &str) -> Result<()> {
    let hosts = "[hosts]\nttl = \"2s\"\n";
    let http = "listen = \"127.0.0.1:0\"\ntoken = { file = \"token\" }";
    app.configure_http(http, &format!("{}{FOLD}{hosts}", probe::module(more)))
}

/// An app with two hosts that share its lanes, and a browser at the first.
async fn two() -> Result<Option<(App, Host, Host, Browser, String)>> {
    let Some(folder) = browser::installed()? else { return Ok(None) };
    let app = App::with_input("").await?;
    fs::write(app.folder().join("token"), TOKEN)?;
    configure(&app, LANES)?;
    let (first, second) = (app.host_called("first")?, app.host_called("second")?);
    let http = first.http().await?;
    eventually("the lanes to be shared", SOON, async || {
        // Before the first host has made the app stream there is nothing to be told.
        let hosts = hosts(&app, "probe").unwrap_or_default();
        let lanes = hosts.iter().map(|host| host["lanes"].as_str().unwrap_or_default().is_empty());
        Ok((hosts.len() == 2 && lanes.clone().all(|none| !none)).then_some(()))
    })
    .await?;
    let browser = Browser::start(&folder).await?;
    let base = format!("http://{}", http.address());
    browser.screen(DESKTOP, false).await?;
    browser.open(&format!("{base}/#/hosts?token={TOKEN}")).await?;
    Ok(Some((app, first, second, browser, base)))
}

/// What the command line says of the hosts of a module.
fn hosts(app: &App, module: &str) -> Result<Vec<Value>> {
    let all = app.pelton_json(&["module", "ls"])?;
    let one = all.as_array().into_iter().flatten().find(|one| one["module"] == module);
    Ok(one.and_then(|one| one["hosts"].as_array()).cloned().unwrap_or_default())
}

/// The cells of the table with that caption, row by row.
async fn rows(browser: &Browser, caption: &str) -> Result<Vec<Vec<String>>> {
    let script = format!(
        "const of = [...document.querySelectorAll('main table')].find((one) => one.caption.textContent === '{caption}');\
         return [...(of?.tBodies[0].rows ?? [])].map((row) => [...row.cells].map((cell) => cell.innerText))"
    );
    Ok(serde_json::from_value(browser.run(&script).await?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_which_host_has_which_lanes_on_a_desk_and_on_a_phone() -> Result<()> {
    let Some((app, first, second, browser, base)) = two().await? else { return Ok(()) };
    let names = [format!(":{}", first.id()), format!(":{}", second.id())];
    browser.shows(&["2 answer", &names[0], &names[1], "serves this page"]).await?;
    for (screen, size, dark) in [("light", DESKTOP, false), ("dark", DESKTOP, true), ("phone", PHONE, false)] {
        browser.screen(size, dark).await?;
        for (name, hash) in [("hosts", "hosts"), ("shared", "modules/probe"), ("shared-list", "modules")] {
            browser.open(&format!("{base}/#/{hash}")).await?;
            browser.shows(&["probe", "running"]).await?;
            if name != "shared-list" {
                browser.shows(&["Which", &names[0], &names[1]]).await?;
            }
            browser.picture(&format!("{name}-{screen}")).await?;
            let wide = browser.run("return document.documentElement.scrollWidth <= innerWidth").await?;
            assert_eq!(wide, true, "{name} is wider than a {screen} screen");
            assert_eq!(browser.run(NAMELESS).await?, serde_json::json!([]), "{name}");
            is_clean(&browser).await?;
        }
    }
    browser.screen(DESKTOP, false).await?;

    // The ranges are those that the command line has, and each lane says whose it is.
    browser.open(&format!("{base}/#/modules/probe")).await?;
    browser.shows(&["Which", &names[0], &names[1], "on several hosts"]).await?;
    for host in hosts(&app, "probe")? {
        let ranges = host["lanes"].as_str().unwrap_or_default().replace('-', "–").replace(',', ", ");
        let shown = rows(&browser, "Hosts with their lanes").await?;
        let row = shown.iter().find(|row| row[0].contains(host["host"].as_str().unwrap_or("none")));
        assert_eq!(row.map(|row| row[3].as_str()), Some(ranges.as_str()), "{shown:?}");
    }
    let lanes = rows(&browser, "Lanes with their checkpoints").await?;
    assert!(lanes.len() == 16 && lanes.iter().all(|row| names.iter().any(|name| row[4].ends_with(name))), "{lanes:?}");
    browser.open(&format!("{base}/#/modules")).await?;
    eventually("the list to count the hosts", SOON, async || {
        let rows = rows(&browser, "Modules with state, rates and lag").await?;
        Ok((rows.len() == 2 && rows.iter().all(|row| row[2] == "2")).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_and_one_that_differs_show_on_the_page() -> Result<()> {
    let Some((app, first, mut second, browser, base)) = two().await? else { return Ok(()) };
    browser.open(&format!("{base}/#/modules/probe")).await?;
    browser.shows(&[&format!(":{}", second.id())]).await?;
    second.kill9()?;
    eventually("the first host to have all lanes", SOON, async || {
        let rows = rows(&browser, "Hosts with their lanes").await?;
        let has_all = |row: &Vec<String>| row[2] == "16 of 16" && row[3] == "0–15" && row[4] != "0";
        Ok((rows.len() == 1 && rows.iter().all(has_all)).then_some(()))
    })
    .await?;

    configure(&app, &format!("{LANES}\nattempts = 7"))?;
    let third = app.host_called("third")?;
    browser.open(&format!("{base}/#/hosts")).await?;
    let name = format!(":{}", third.id());
    browser.shows(&["2 answer", &name, "differs", "its settings here are not those that"]).await?;
    browser.picture("differs-light").await?;
    browser.open(&format!("{base}/#/modules")).await?;
    browser.shows(&["1 differs"]).await?;
    assert!(third.id() != first.id());
    is_clean(&browser).await
}
