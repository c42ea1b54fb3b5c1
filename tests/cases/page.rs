//! The web page's API over HTTP: what it tells, what it does, and whom it refuses. `page/browser.rs` looks at the page
//! itself.

mod browser;
mod bulk;
mod hosts;

use std::fs;

use anyhow::{Context, Result};
use pelton_tests::{App, Events, Host, Http, SOON, eventually};
use serde_json::{Value, json};

use crate::probe;

const TOKEN: &str = "a-token-of-24-characters";
const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { events = \"out\" }\nviews = [\"fold\"]\n";
/// What a page must show as text.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

/// An app whose host wants the token, with two modules, one behind the other.
async fn app() -> Result<(App, Host, Http)> {
    let app = App::with_input("").await?;
    fs::write(app.folder().join("token"), TOKEN)?;
    let http = "listen = \"127.0.0.1:0\"\ntoken = { file = \"token\" }";
    app.configure_http(http, &(probe::module("") + FOLD))?;
    let host = app.host()?;
    let http = host.http().await?;
    eventually("readiness", SOON, async || Ok((http.get("/readyz").await?.status == 200).then_some(()))).await?;
    Ok((app, host, http))
}

/// Publishes orders for the probe, and waits until they are done.
async fn order(app: &App, key: &str, orders: &Value) -> Result<u64> {
    let done = app.publish(&format!("in.{key}"), orders.to_string()).await?;
    app.covered("probe", 1, done).await?;
    Ok(done)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_files_are_open_and_all_they_ask_for_wants_the_token() -> Result<()> {
    let (_app, _host, http) = app().await?;
    let page = http.get("/").await?;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("require-trusted-types-for 'script'"), "{page:?}");
    let text = page.text();
    let files: Vec<&str> = text.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(files.len() > 1, "{text}");
    for file in files {
        let path = format!("/assets/{file}");
        let answer = http.get(&path).await?;
        assert_eq!(answer.status, 200, "{path}");
        let again = http.send("GET", &path, &[("if-none-match", answer.header("etag"))], "").await?;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    assert_eq!(http.get("/assets/none.js").await?.status, 404);
    for path in [
        "app",
        "hosts",
        "modules",
        "graph",
        "graph.svg",
        "dead-letters",
        "dead-letters/probe/0/1",
        "feed",
        "events/IN/1",
    ] {
        assert_eq!(http.get(&format!("/api/{path}")).await?.status, 401, "{path}");
    }
    for path in [
        "modules/probe/pause",
        "modules/probe/resume",
        "dead-letters/probe/0/1/replay",
        "dead-letters/probe/0/1/discard",
    ] {
        let path = format!("/api/{path}");
        assert_eq!(http.send("POST", &path, &[], "").await?.status, 401, "{path}");
        assert_eq!(http.with_token(TOKEN).get(&path).await?.status, 405, "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_reading_is_open_and_nobody_acts() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let http = host.http().await?;
    order(&app, "a", &json!([{"reject": "no"}])).await?;
    assert_eq!(http.get_json("/api/app").await?["acts"], false);
    for path in [
        "modules/probe/pause",
        "modules/probe/resume",
        "dead-letters/probe/0/1/replay",
        "dead-letters/probe/0/1/discard",
    ] {
        let refused = http.send("POST", &format!("/api/{path}"), &[], "").await?;
        assert!(refused.status == 403 && refused.problem().contains("needs a token"), "{path}: {refused:?}");
    }
    assert_eq!(http.get("/api/dead-letters/probe/0/1").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_are_counted_paused_and_resumed() -> Result<()> {
    let (app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    order(&app, "a", &json!([{"write": {"key": "a", "value": "1"}}, {"emit": {}}])).await?;
    order(&app, "a", &json!([{"reject": "no"}])).await?;
    let about = http.get_json("/api/app").await?;
    assert_eq!(
        (about["app"].as_str(), about["stream"].as_str(), about["acts"].as_bool()),
        (Some("demo"), Some("KV_demo"), Some(true))
    );
    let probe = async || -> Result<Value> {
        let modules = http.get_json("/api/modules").await?;
        let all = modules["modules"].as_array().context("no modules")?;
        all.iter().find(|one| one["record"]["module"] == "probe").cloned().context("no probe")
    };
    let module = probe().await?;
    let counts = &module["counts"];
    assert_eq!(
        (&counts["inputs"], &counts["events"], &counts["writes"], &counts["dead_letters"]),
        (&json!(2), &json!(1), &json!(1), &json!(1))
    );
    assert_eq!((&module["phase"], &module["emits"]), (&json!("running"), &json!(["out"])));
    for (verb, phase) in [("pause", "paused"), ("resume", "running")] {
        for changed in [true, false] {
            let answer = http.send("POST", &format!("/api/modules/probe/{verb}"), &[], "").await?.json()?;
            assert_eq!((&answer["state"], &answer["changed"]), (&json!(phase), &json!(changed)), "{verb}");
        }
        eventually(phase, SOON, async || Ok((probe().await?["phase"] == phase).then_some(()))).await?;
    }
    let unknown = http.send("POST", "/api/modules/nobody/pause", &[], "").await?;
    assert!(unknown.status == 404 && unknown.problem().contains("nobody"), "{unknown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_is_data_and_an_image_that_runs_nothing() -> Result<()> {
    let (_app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    let graph = http.get_json("/api/graph").await?;
    let nodes = graph["nodes"].as_array().context("no nodes")?;
    assert!(nodes.iter().any(|node| node["id"] == "module:fold" && node["live"]["state"] == "running"), "{graph}");
    let image = http.get("/api/graph.svg").await?;
    assert_eq!(image.header("content-type"), "image/svg+xml");
    assert_eq!(image.header("content-security-policy"), "default-src 'none'; style-src 'unsafe-inline'");
    assert!(image.text().starts_with("<svg"), "{}", image.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_page_by_page_shown_replayed_and_discarded() -> Result<()> {
    let (app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    for (key, message) in [("a", "first"), ("b", "second"), ("a", HOSTILE)] {
        order(&app, key, &json!([{"reject": message}])).await?;
    }
    let healed = order(&app, "a", &json!([{"require": "switch"}])).await?;
    let list = async |query: &str| -> Result<(Vec<u64>, Value)> {
        let page = http.get_json(&format!("/api/dead-letters{query}")).await?;
        let letters = page["letters"].as_array().context("no letters")?;
        Ok((letters.iter().filter_map(|letter| letter["sequence"].as_u64()).collect(), page["next"].clone()))
    };
    assert_eq!(list("").await?, (vec![1, 2, 3, 4], Value::Null));
    assert_eq!(list("?limit=3").await?, (vec![1, 2, 3], json!("probe/0/3")));
    assert_eq!(list("?limit=3&behind=probe/0/3").await?, (vec![4], Value::Null));
    assert_eq!(list("?key=b").await?.0, [2]);
    assert_eq!(list("?message=sec&cause=reject&module=probe&lane=0").await?.0, [2]);
    assert!(list("?cause=trap").await?.0.is_empty());
    for bad in ["cause=no", "lane=x", "behind=x", "since=then", "colour=red", "module=A"] {
        assert_eq!(http.get(&format!("/api/dead-letters?{bad}")).await?.status, 400, "{bad}");
    }
    let shown = http.get_json("/api/dead-letters/probe/0/3").await?;
    assert_eq!((&shown["cause"]["message"], &shown["key"]), (&json!(HOSTILE), &json!("a")));
    let post = async |what: &str| http.send("POST", &format!("/api/dead-letters/probe/0/{what}"), &[], "").await;
    assert_eq!(post("1/discard").await?.json()?["discarded"]["sequence"], 1);
    assert_eq!(post("1/discard").await?.status, 404);
    assert_eq!(post("1/replay").await?.json()?["outcome"], "gone");
    assert_eq!(post("2/replay").await?.json()?["outcome"], "failed");
    order(&app, "a", &json!([{"write": {"key": "switch", "value": "on"}}])).await?;
    assert_eq!(post(&format!("{healed}/replay")).await?.json()?["outcome"], "replayed");
    assert_eq!(list("").await?.0, [2, 3]);
    for bad in ["x/replay", "999999999999999999999/discard"] {
        assert_eq!(post(bad).await?.status, 400, "{bad}");
    }
    Ok(())
}

/// What a feed sends next.
async fn sent(feed: &mut Events) -> Result<Value> {
    let fields = tokio::time::timeout(SOON, feed.next()).await?.transpose().context("the feed ended")??;
    let data = fields.into_iter().find(|(name, _)| name == "data").context("no data")?.1;
    Ok(serde_json::from_str(&data)?)
}

/// The next items of a feed.
async fn items(feed: &mut Events, count: usize) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    while items.len() < count {
        items.extend(sent(feed).await?["items"].as_array().cloned().unwrap_or_default());
    }
    Ok(items)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_shows_what_is_asked_for_as_it_is_stored() -> Result<()> {
    let (app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    let mut all = http.events("/api/feed?module=probe", &[]).await?;
    let mut dead = http.events("/api/feed?kind=dead-letter&key=b", &[]).await?;
    order(&app, "a", &json!([{"write": {"key": "a", "value": "1"}}, {"emit": {}}])).await?;
    order(&app, "b", &json!([{"reject": HOSTILE}])).await?;
    let mut kinds: Vec<_> = items(&mut all, 5).await?.iter().map(|item| item["what"].to_string()).collect();
    kinds.sort();
    assert_eq!(kinds, ["\"dead-letter\"", "\"event\"", "\"input\"", "\"input\"", "\"view\""]);
    let letters = items(&mut dead, 1).await?;
    assert!(letters[0]["problem"].as_str().is_some_and(|problem| problem.contains(HOSTILE)), "{letters:?}");
    let mut past = http.events("/api/feed?since=IN:1&kind=input&module=probe", &[]).await?;
    assert_eq!(items(&mut past, 2).await?.len(), 2);
    for (bad, status) in [("kind=no", 400), ("since=IN:99", 400), ("module=nobody", 404), ("colour=red", 400)] {
        assert_eq!(http.get(&format!("/api/feed?{bad}")).await?.status, status, "{bad}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_a_busy_app_sees_the_newest_and_how_many_were_left_out() -> Result<()> {
    let (app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    order(&app, "a", &json!([{"emit": {"n": 500}}])).await?;
    let mut feed = http.events("/api/feed?since=1h&kind=event", &[]).await?;
    let (mut shown, mut skipped, mut last) = (0, 0, Value::Null);
    while shown + skipped < 500 {
        let data = sent(&mut feed).await?;
        let items = data["items"].as_array().context("no items")?;
        shown += items.len() as u64;
        skipped += data["skipped"].as_u64().unwrap_or_default();
        last = items.last().cloned().unwrap_or_default();
    }
    assert_eq!(shown + skipped, 500);
    assert!(skipped > 0, "nothing was left out");
    let newest = app.jetstream().get_stream("KV_demo").await?;
    let newest = newest.get_last_raw_message_by_subject("pelton.demo.events.out.a").await?;
    assert_eq!(last["sequence"], newest.sequence);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_names_what_caused_it_and_what_it_caused() -> Result<()> {
    let (app, _host, http) = app().await?;
    let http = http.with_token(TOKEN);
    let first = order(&app, "a", &json!([{"write": {"key": "a", "value": HOSTILE}}, {"emit": {"n": 2}}])).await?;
    let second = order(&app, "b", &json!([{"reject": "no"}])).await?;
    app.covered("fold", 1, 1).await?;

    let story = http.get_json(&format!("/api/events/IN/{first}")).await?;
    assert!(story["bytes"].is_u64(), "{story}");
    let effects = &story["effects"];
    let events = effects["events"].as_array().context("no events")?;
    assert_eq!((events.len(), &effects["complete"], &story["causes"]), (2, &json!(true), &json!([])));
    assert_eq!((&story["taken_by"][0]["module"], &story["taken_by"][0]["key"]), (&json!("probe"), &json!("a")));
    assert_eq!((&effects["values"][0]["what"], &effects["values"][0]["data"]), (&json!("view"), &json!(HOSTILE)));

    let event = http.get_json(&format!("/api/events/KV_demo/{}", events[0]["sequence"])).await?;
    assert_eq!(event["event"]["type"], "probe.emitted");
    assert_eq!((&event["causes"][0]["stream"], &event["causes"][0]["sequence"]), (&json!("IN"), &json!(first)));
    assert_eq!((&event["taken_by"][0]["module"], &event["made_by"]["module"]), (&json!("fold"), &json!("probe")));

    let rejected = http.get_json(&format!("/api/events/IN/{second}")).await?;
    let letter = &rejected["effects"]["dead_letters"][0];
    assert_eq!(letter["causation"], format!("IN:{second}"));
    let letter = http.get_json(&format!("/api/events/KV_demo/{}", letter["sequence"])).await?;
    assert_eq!(letter["causes"][0]["sequence"], second);

    app.stream("OTHER", "other.>").await?;
    app.publish("other.a", "secret").await?;
    for (place, status) in [("OTHER/1", 404), ("NONE/1", 404), ("IN/99", 404), ("IN/0", 400), ("IN/x", 400)] {
        let refused = http.get(&format!("/api/events/{place}")).await?;
        assert_eq!(refused.status, status, "{place}: {refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_cannot_make_a_message_name_a_cause_that_is_none() -> Result<()> {
    let (app, _host, http) = app().await?;
    let forged = app.publish_with("in.a", &[("Pelton-Input", "IN:1"), ("ce-causationid", "x")], "[]").await?;
    let story = http.with_token(TOKEN).get_json(&format!("/api/events/IN/{forged}")).await?;
    assert_eq!((&story["causes"], &story["lost"]), (&json!([]), &Value::Null));
    Ok(())
}
