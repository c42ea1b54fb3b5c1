//! Views read over HTTP, and as a NATS micro service: the same answers.

use anyhow::{Context, Result};
use async_nats::HeaderMap;
use pelton_tests::{App, Http, SOON, eventually, logged};
use serde_json::{Value, json};

use crate::probe;

/// Writes a value under a key of the view `v`.
async fn write(app: &App, key: &str, value: &str) -> Result<u64> {
    let orders = json!([{ "write": { "key": key, "value": value } }]);
    app.publish("in.a", orders.to_string()).await
}

/// An app whose view `v` holds some keys, and a client of its host.
async fn app() -> Result<(App, pelton_tests::Host, Http)> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    for (key, value) in
        [("a", r#"{"n":1}"#), ("a/b", "no json"), ("United Kingdom", "7"), ("x/1", "1"), ("x/2", "2"), ("x/3", "3")]
    {
        write(&app, key, value).await?;
    }
    let last = app.publish("in.a", r#"[{"delete":"x/2"}]"#).await?;
    app.covered("probe", 1, last).await?;
    let http = host.http().await?;
    Ok((app, host, http))
}

fn keys(page: &Value) -> Vec<&str> {
    page["entries"].as_array().into_iter().flatten().filter_map(|entry| entry["key"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_listed_and_their_keys_paged_through() -> Result<()> {
    let (_app, _host, http) = app().await?;
    assert_eq!(
        http.get_json("/views").await?,
        json!({"views": [{"view": "v", "generation": 1, "module": "probe", "stream": "IN"}]})
    );
    let all = http.get_json("/views/v").await?;
    assert_eq!((keys(&all), &all["next"]), (vec!["United Kingdom", "a", "a/b", "x/1", "x/3"], &Value::Null));
    let values: Vec<_> = all["entries"].as_array().into_iter().flatten().map(|entry| entry["value"].clone()).collect();
    assert_eq!(values, [json!(7), json!({"n": 1}), json!("no json"), json!(1), json!(3)]);
    assert_eq!(keys(&http.get_json("/views/v?prefix=x/").await?), ["x/1", "x/3"]);
    let (mut found, mut behind) = (Vec::new(), String::new());
    loop {
        let page = http.get_json(&format!("/views/v?limit=2{behind}")).await?;
        found.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        behind = format!("&behind={}", next.replace(' ', "%20"));
    }
    assert_eq!(found, keys(&all));
    let (long, empty) = ("k".repeat(8_000), Value::Null);
    for key in [long.as_str(), ""] {
        assert_eq!(http.get_json(&format!("/views/v?key={key}")).await?["entries"][0]["value"], empty);
    }
    let some = http.get_json("/views/v?key=x/1&key=nothing&key=United%20Kingdom").await?;
    assert_eq!((keys(&some), &some["entries"][1]["value"]), (vec!["x/1", "nothing", "United Kingdom"], &Value::Null));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_comes_as_it_is_stored_with_a_tag_that_spares_reading_it_again() -> Result<()> {
    let (app, _host, http) = app().await?;
    let answer = http.get("/views/v/a").await?;
    assert_eq!(
        (answer.text().as_str(), answer.header("content-type"), answer.header("cache-control")),
        (r#"{"n":1}"#, "application/json", "no-cache")
    );
    let tag = answer.header("etag").to_owned();
    let known = http.send("GET", "/views/v/a", &[("if-none-match", &tag)], "").await?;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    let other = http.get("/views/v/a/b").await?;
    assert_eq!((other.text().as_str(), other.header("content-type")), ("no json", "application/octet-stream"));
    assert_eq!(http.get("/views/v/United%20Kingdom").await?.text(), "7");
    assert_eq!(http.get("/views/v/a%2Fb").await?.text(), "no json");
    app.covered("probe", 1, write(&app, "a", "2").await?).await?;
    let changed = http.send("GET", "/views/v/a", &[("if-none-match", &tag)], "").await?;
    assert_eq!((changed.status, changed.text().as_str()), (200, "2"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_waits_until_its_own_input_is_covered_and_is_told_when_it_is_not() -> Result<()> {
    let (app, host, http) = app().await?;
    for round in 0..20 {
        let at = write(&app, "a", &round.to_string()).await?;
        assert_eq!(http.get(&format!("/views/v/a?after=IN:{at}")).await?.text(), round.to_string());
    }
    let late = http.get("/views/v/a?after=IN:999&timeout=200ms").await?;
    assert_eq!(
        (late.status, late.json()?["covered"].as_u64(), late.json()?["stream"].as_str()),
        (504, Some(27), Some("IN"))
    );
    assert!(late.problem().contains("IN:27, not to IN:999"), "{}", late.problem());
    assert_eq!(http.get("/views/v?after=IN:27&limit=1").await?.status, 200);

    app.pelton_json(&["module", "pause", "probe"])?;
    logged(&host, &["module is paused"]).await?;
    let at = write(&app, "a", "paused").await?;
    assert_eq!(http.get(&format!("/views/v/a?after=IN:{at}&timeout=100ms")).await?.status, 504);
    let waiting = http.clone();
    let path = format!("/views/v/a?after=IN:{at}&timeout=20s");
    let waiting = tokio::spawn(async move { waiting.get(&path).await });
    app.pelton_json(&["module", "resume", "probe"])?;
    assert_eq!(waiting.await??.text(), "paused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_starts_on_a_paused_module_knows_how_far_it_came() -> Result<()> {
    let (app, mut host, _) = app().await?;
    app.pelton_json(&["module", "pause", "probe"])?;
    logged(&host, &["module is paused"]).await?;
    assert!(host.terminate().await?.success());
    let host = app.host_called("second")?;
    let http = host.http().await?;
    logged(&host, &["running"]).await?;
    let at_once = tokio::time::timeout(SOON, http.get("/views/v/x/1?after=IN:7&timeout=60s")).await;
    assert_eq!(at_once.context("it waits for a module that does not run")??.text(), "1");
    assert_eq!(http.get("/views/v/x/1?after=IN:8&timeout=50ms").await?.status, 504);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_question_is_said_by_name() -> Result<()> {
    let (_app, _host, http) = app().await?;
    for (path, status, named) in [
        ("/views/nothing", 404, "nothing"),
        ("/views/v/nothing", 404, "v/nothing"),
        ("/views/v/x/2", 404, "v/x/2"),
        ("/views/V", 400, "\"V\""),
        ("/views/v?limit=0", 400, "limit=0"),
        ("/views/v?limit=many", 400, "many"),
        ("/views/v?limit=1001", 400, "1000"),
        ("/views/v?colour=1", 400, "colour"),
        ("/views/v?prefix=a&prefix=b", 400, "twice"),
        ("/views/v?key=a&limit=5", 400, "certain keys"),
        ("/views/v/a?after=5", 400, "STREAM:SEQUENCE"),
        ("/views/v/a?after=IN:x", 400, "STREAM:SEQUENCE"),
        ("/views/v/a?after=OTHER:1", 400, "\"IN\""),
        ("/views/v/a?after=IN:1&timeout=1h", 400, "60s"),
        ("/views/v/a?after=IN:1&timeout=soon", 400, "soon"),
        ("/views/v/%FF", 400, ""),
        ("/modules/nobody", 404, "nobody"),
    ] {
        let answer = http.get(path).await?;
        assert!(
            answer.status == status && answer.problem().contains(named),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(!answer.problem().is_empty(), "{path}: {}", answer.text());
    }
    let module = http.get_json("/modules/probe").await?;
    assert_eq!((&module["module"], &module["state"], &module["lag"]), (&json!("probe"), &json!("running"), &json!(0)));
    assert_eq!(http.get_json("/modules").await?["modules"][0]["module"], "probe");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_a_question_is_answered_with_503() -> Result<()> {
    let (mut app, _host, http) = app().await?;
    app.server.kill9()?;
    let answer = http.get("/views/v/a").await?;
    assert!(answer.status == 503 && !answer.problem().is_empty(), "{answer:?}");
    app.server.restart().await?;
    eventually("answers again", SOON, async || Ok((http.get("/views/v/a").await?.status == 200).then_some(()))).await?;
    Ok(())
}

/// Asks the micro service; gives its answer, or code and reason.
async fn ask(app: &App, endpoint: &str, payload: Value) -> Result<Result<Value, (String, String)>> {
    let payload = if payload.is_null() { String::new() } else { payload.to_string() };
    let answer = app.client.request(format!("pelton-query.demo.{endpoint}"), payload.into()).await?;
    let header =
        |headers: &HeaderMap, name| headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    match &answer.headers {
        Some(headers) => Ok(Err((header(headers, "Nats-Service-Error-Code"), header(headers, "Nats-Service-Error")))),
        None => Ok(Ok(serde_json::from_slice(&answer.payload)?)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answers_come_from_a_micro_service_that_stock_tools_find() -> Result<()> {
    let (app, host, http) = app().await?;
    logged(&host, &["serving queries over NATS"]).await?;
    let info = app.client.request("$SRV.INFO.pelton-demo", "".into()).await?;
    let info: Value = serde_json::from_slice(&info.payload)?;
    let endpoints = info["endpoints"].as_array().context("no endpoints")?;
    let mut names: Vec<_> = endpoints.iter().filter_map(|endpoint| endpoint["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        (info["name"].as_str(), names),
        (Some("pelton-demo"), vec!["modules", "status", "views-get", "views-keys", "views-ls"])
    );

    assert_eq!(ask(&app, "views.ls", Value::Null).await?.ok(), http.get_json("/views").await?.get("views").cloned());
    assert_eq!(ask(&app, "modules", Value::Null).await?.ok(), http.get_json("/modules").await?.get("modules").cloned());
    let page = ask(&app, "views.keys", json!({"view": "v", "prefix": "x/", "limit": 1})).await?;
    assert_eq!(page.ok(), Some(http.get_json("/views/v?prefix=x/&limit=1").await?));
    let got = ask(&app, "views.get", json!({"view": "v", "keys": ["a", "none"]})).await?;
    assert_eq!(got.ok(), http.get_json("/views/v?key=a&key=none").await?.get("entries").cloned());
    for (endpoint, payload, code, named) in [
        ("views.ls", json!({"view": "v"}), "400", "no parameters"),
        ("views.keys", json!({"view": "nothing"}), "404", "nothing"),
        ("views.keys", json!({}), "400", "view"),
        ("views.keys", json!({"view": "v", "limit": 0}), "400", "1 to 1000"),
        ("views.keys", json!({"view": "V"}), "400", "V"),
        ("views.get", json!({"view": "v"}), "400", "1000 keys"),
        ("views.get", json!({"view": "v", "keys": ["a"], "colour": 1}), "400", "colour"),
    ] {
        let refused = ask(&app, endpoint, payload).await?.err().context("an answer")?;
        assert!(refused.0 == code && refused.1.contains(named), "{endpoint}: {refused:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_too_many_for_an_answer_are_refused_and_come_page_by_page() -> Result<()> {
    let (app, host, http) = app().await?;
    logged(&host, &["serving queries over NATS"]).await?;
    let names = ["big/1", "big/2", "big/3", "big/4"];
    for key in names {
        let done = app.publish("in.a", json!([{"write": {"key": key, "size": 400_000}}]).to_string()).await?;
        app.covered("probe", 1, done).await?;
    }
    let page = http.get_json("/views/v?prefix=big/").await?;
    assert_eq!((keys(&page), &page["next"]), (names.to_vec(), &Value::Null));
    let twelve = names.repeat(3).join("&key=");
    let refused = http.get(&format!("/views/v?key={twelve}")).await?;
    assert!(
        refused.status == 413 && refused.problem().contains("fewer keys"),
        "{} {}",
        refused.status,
        refused.problem()
    );

    let got = ask(&app, "views.get", json!({"view": "v", "keys": ["big/2", "big/1"]})).await?;
    assert_eq!(got.ok().context("no answer")?[0]["key"], "big/2", "in the order in which they are asked for");
    let refused = ask(&app, "views.get", json!({"view": "v", "keys": names})).await?.err().context("an answer")?;
    assert!(refused.0 == "413" && refused.1.contains("fewer keys"), "{refused:?}");
    let (mut found, mut behind) = (Vec::new(), Value::Null);
    loop {
        let page = ask(&app, "views.keys", json!({"view": "v", "prefix": "big/", "behind": behind})).await?;
        let page = page.ok().context("no page")?;
        found.extend(keys(&page).into_iter().map(str::to_owned));
        behind = page["next"].clone();
        if behind.is_null() {
            break;
        }
    }
    assert_eq!(found, names);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_moved_to_another_module_is_listed_once_and_can_be_tapped() -> Result<()> {
    let (app, mut host, _) = app().await?;
    assert!(host.terminate().await?.success());
    app.configure(&probe::module("").replace("modules.probe", "modules.z-new"))?;
    let host = app.host_called("second")?;
    eventually("the new module to have done all", SOON, async || {
        let shown = app.pelton_json(&["module", "show", "z-new"]).ok();
        Ok(shown.filter(|shown| shown["checkpoints"][0]["covered"] == 7).map(drop))
    })
    .await?;
    let views = host.http().await?.get_json("/views").await?;
    assert_eq!(views["views"], json!([{"view": "v", "generation": 2, "module": "z-new", "stream": "IN"}]));
    let tapped = app.pelton(&["tap", "--kind", "view", "--since", "first", "--limit", "1", "-o", "json"])?;
    let said = String::from_utf8_lossy(&tapped.stderr);
    let item: Value = serde_json::from_slice(&tapped.stdout).with_context(|| said.into_owned())?;
    assert_eq!((&item["what"], &item["module"]), (&json!("view"), &json!("z-new")));
    Ok(())
}
