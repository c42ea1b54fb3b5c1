//! Inputs, what they cause and how they were processed are one trace, and a collector is told of those that are sampled.

use std::net::TcpListener;
use std::{fs, sync::Arc};

use anyhow::{Context, Result};
use pelton_tests::collector::{Collector, SpanKind, Told};
use pelton_tests::{App, Host, SOON, eventually, logged, stored};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::{metrics, probe};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const EMIT: &str = r#"[{"emit":{}}]"#;

/// A module that passes its inputs on to the probe.
const RELAY: &str =
    "[modules.relay]\nplugin = \"relay.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"last\"]\nemits = [\"passed\"]\n";

/// What a producer says whose trace is sampled.
fn sampled() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// The table `traces` with a collector, and more.
fn to(endpoint: &str, more: &str) -> String {
    format!("[traces]\nendpoint = \"{endpoint}\"\n{more}\n")
}

async fn publish(app: &App, producer: &str, payload: &str) -> Result<u64> {
    app.publish_with("in.a", &[("traceparent", producer)], payload).await
}

/// The span of that name, which there is one of.
fn only<'t>(told: &'t [Told], name: &str) -> Result<&'t Told> {
    let mut named = told.iter().filter(|told| told.span.name == name);
    let only = named.next().with_context(|| format!("no {name} in {told:?}"))?;
    anyhow::ensure!(named.next().is_none(), "several {name} in {told:?}");
    Ok(only)
}

/// The parts of a span: calls and commit, and not what others made of what it caused.
fn parts<'t>(told: &'t [Told], of: &Told) -> Vec<&'t Told> {
    let is_part = |told: &&Told| told.span.parent_span_id == of.span.span_id && told.span.kind() != SpanKind::Consumer;
    told.iter().filter(is_part).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_feed_each_other_are_one_trace_under_the_producers_span() -> Result<()> {
    let collector = Collector::start().await?;
    let probe =
        probe::module("").replace("stream = \"IN\"", "events = \"passed\"").replace("{ token = 2 }", "\"subject\"");
    let app = App::with_input(&(to(&collector.endpoint(), "") + RELAY + &probe)).await?;
    let mut host = app.host()?;
    let (producer, headers) =
        (sampled(), [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]);
    let headers = [&headers[..], &[("ce-traceparent", &producer), ("tracestate", "a=b, c=\"d\"")]].concat();
    app.publish_with("in.a", &headers, EMIT).await?;

    let told = collector.gets(6).await?;
    let (relay, probe) = (only(&told, "process relay")?, only(&told, "process probe")?);
    assert_eq!(relay.ids().1, SPAN);
    assert_eq!(probe.ids().1, relay.ids().0);
    for (category, caused_by) in [("passed", relay), ("out", probe)] {
        let [event] = stored::events(&app, category).await?.try_into().map_err(|_| anyhow::anyhow!("{category}"))?;
        for (header, value) in [("traceparent", caused_by.context()), ("tracestate", "a=b, c=\"d\"".to_owned())] {
            assert_eq!(event.header(header), value, "{category}");
        }
        assert_eq!(event.header("ce-traceparent"), caused_by.context());
    }
    for (process, module, stream) in [(relay, "relay", "IN"), (probe, "probe", "KV_demo")] {
        assert_eq!((process.span.kind(), process.failure()), (SpanKind::Consumer, None));
        assert_eq!(process.span.flags, 0x301, "sampled, and the parent is another program's");
        for (name, value) in [
            ("messaging.system", "nats"),
            ("messaging.operation.type", "process"),
            ("pelton.module", module),
            ("pelton.stream", stream),
            ("pelton.lane", "0"),
            ("pelton.events", "1"),
        ] {
            assert_eq!(process.attribute(name), value, "{name}");
        }
        let parts = parts(&told, process);
        let [call, commit] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((call.span.name.as_str(), call.span.kind()), ("call", SpanKind::Internal));
        assert_eq!((commit.span.name.as_str(), commit.span.kind()), ("commit", SpanKind::Client));
        assert_eq!(
            (commit.attribute("pelton.commit.outcome"), commit.attribute("pelton.commit.attempts")),
            ("committed".into(), "1".into())
        );
        assert!(commit.attribute("messaging.batch.message_count").parse::<u32>()? >= 2, "{commit:?}");
        let times = [process, call, commit].map(|told| (told.span.start_time_unix_nano, told.span.end_time_unix_nano));
        let [(taken, stored), (called, answered), (sent, landed)] = times;
        assert!(
            taken <= called && called <= answered && answered <= sent && sent <= landed && landed <= stored,
            "{times:?}"
        );
    }
    assert_eq!(
        (relay.attribute("messaging.message.id"), relay.attribute("messaging.destination.name")),
        ("1".into(), "in.a".into())
    );
    assert!(told.iter().all(|told| told.ids().2 == TRACE && told.span.trace_state == "a=b, c=\"d\""), "{told:?}");
    assert!(told.iter().all(|told| told.of_resource("service.name") == "pelton-demo"));
    metrics::reads(&host, "pelton_spans_exported_total", 6.0).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_sent_and_has_a_context_all_the_same() -> Result<()> {
    let collector = Collector::start().await?;
    let app = App::with_input(&(to(&collector.endpoint(), "") + &probe::module(""))).await?;
    let mut host = app.host()?;
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    app.publish("in.a", EMIT).await?;
    for producer in [unsampled.as_str(), "00-1-2-01"] {
        app.publish_with("in.a", &[("traceparent", producer), ("tracestate", "a=b")], EMIT).await?;
    }
    let other = "1".repeat(32);
    app.covered("probe", 1, publish(&app, &format!("00-{other}-{SPAN}-01"), EMIT).await?).await?;
    assert!(host.terminate().await?.success());

    assert!(collector.spans().iter().all(|told| told.ids().2 == other), "{:?}", collector.spans());
    assert_eq!(collector.spans().len(), 3);
    let events = stored::events(&app, "out").await?;
    let said: Vec<_> = events.iter().map(|event| (event.header("traceparent"), event.header("tracestate"))).collect();
    let [none, (unsampled, state), bad, (sent, _)] = said.as_slice() else { panic!("{said:?}") };
    assert!(unsampled.starts_with(&format!("00-{TRACE}-")) && unsampled.ends_with("-00") && !unsampled.contains(SPAN));
    assert_eq!((*state, sent.ends_with("-01")), ("a=b", true));
    for (made_up, state) in [none, bad] {
        assert!(made_up.len() == 55 && made_up.ends_with("-00") && !made_up.contains(TRACE), "{made_up}");
        assert_eq!(*state, "", "the state of a context that cannot be read");
    }
    Ok(())
}

/// Ids and contexts of all events, in order.
async fn contexts(app: &App) -> Result<Vec<(String, String)>> {
    let events = stored::events(app, "out").await?;
    Ok(events
        .iter()
        .map(|event| (event.header("ce-id").to_owned(), event.header("ce-traceparent").to_owned()))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_run_again_write_the_same_context_also_when_nothing_is_exported() -> Result<()> {
    let collector = Collector::start().await?;
    let app = App::with_input(&(to(&collector.endpoint(), "ratio = 0.5") + &probe::module(""))).await?;
    let mut host = app.host()?;
    for _ in 0..8 {
        app.publish("in.a", EMIT).await?;
    }
    app.covered("probe", 1, publish(&app, &sampled(), EMIT).await?).await?;
    app.pelton_json(&["module", "pause", "probe"])?;
    assert!(host.terminate().await?.success());
    let told = collector.spans().iter().filter(|told| told.span.name == "process probe").count();
    let first = contexts(&app).await?;
    let sampled = first.iter().filter(|(_, context)| context.ends_with("-01")).count();
    assert_eq!((first.len(), told), (9, sampled), "those are told of that say so");

    app.pelton_json(&["module", "reset", "probe", "--to", "first", "--views", "keep"])?;
    app.configure(&format!("[traces]\nratio = 0.5\n{}", probe::module("")))?;
    let _host = app.host()?;
    app.pelton_json(&["module", "resume", "probe"])?;
    let all =
        eventually("the second run", SOON, async || Ok(Some(contexts(&app).await?).filter(|all| all.len() == 18)));
    let all = all.await.with_context(|| app.log_end())?;
    assert_eq!(all.get(9..), Some(first.as_slice()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_an_error_with_its_cause_and_each_call_and_its_replay_a_span_of_its_own() -> Result<()> {
    let collector = Collector::start().await?;
    let app = App::with_input(&(to(&collector.endpoint(), "") + &probe::module("attempts = 3"))).await?;
    let _host = app.host()?;
    publish(&app, &sampled(), r#"["trap"]"#).await?;
    let told = collector.gets(4).await?;
    let trapped = only(&told, "process probe")?;
    assert_eq!((trapped.attribute("error.type"), trapped.attribute("pelton.attempts")), ("trap".into(), "2".into()));
    assert_eq!(trapped.attribute("pelton.dead_letter.cause"), "trap");
    assert!(trapped.failure().is_some_and(|why| !why.is_empty()), "{trapped:?}");
    let calls: Vec<_> = parts(&told, trapped).into_iter().filter(|part| part.span.name == "call").collect();
    assert_eq!(calls.iter().map(|call| call.attribute("pelton.attempt")).collect::<Vec<_>>(), ["1", "2"]);
    assert!(calls.iter().all(|call| call.failure().is_some() && call.attribute("error.type") == "trap"), "{calls:?}");

    publish(&app, &sampled(), r#"[{"require":"k"},{"emit":{}}]"#).await?;
    let rejected = collector.gets(7).await?;
    let rejected = only(&rejected[4..], "process probe")?.clone();
    assert_eq!((rejected.failure(), rejected.attribute("error.type")), (Some("k is missing"), "reject".into()));
    app.covered("probe", 1, app.publish("in.k", r#"[{"write":{"key":"k","value":"x"}}]"#).await?).await?;
    app.pelton_json(&["dlq", "replay", "--cause", "reject"])?;
    let told = collector.gets(10).await?;
    let replayed = only(&told[7..], "process probe")?;
    assert_eq!((replayed.failure(), replayed.attribute("pelton.replay")), (None, "true".to_owned()));
    assert_eq!((replayed.ids().1, replayed.ids().2), (SPAN.to_owned(), TRACE.to_owned()));
    assert_ne!(replayed.ids().0, rejected.ids().0, "it would be the same span twice");
    let [event] = stored::events(&app, "out").await?.try_into().map_err(|_| anyhow::anyhow!("not one event"))?;
    assert_eq!(event.header("traceparent"), replayed.context());

    app.publish_with("in.a", &[("ce-specversion", "0.3"), ("traceparent", &sampled())], "").await?;
    let told = collector.gets(12).await?;
    assert_eq!(only(&told[10..], "process probe")?.attribute("error.type"), "decode");
    assert!(told[10..].iter().all(|told| told.span.name != "call"), "what is no event reaches no plugin");
    Ok(())
}

/// How many lines of the host's log hold `part`.
fn lines(host: &Host, part: &str) -> Result<usize> {
    Ok(host.log()?.iter().filter(|line| line.contains(part)).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nobody_up_and_what_it_misses_is_counted() -> Result<()> {
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let app = App::with_input(&(to(&format!("http://{nobody}"), "ratio = 1") + &probe::module(""))).await?;
    let mut host = app.host()?;
    let mut last = 0;
    for _ in 0..300 {
        last = app.publish("in.a", EMIT).await?;
    }
    app.covered("probe", 1, last).await?;
    eventually("dropped spans", SOON, async || {
        let samples = metrics::samples(&host).await?;
        Ok((samples["pelton_spans_dropped_total"] >= 512.0).then_some(()))
    })
    .await?;
    metrics::reads(&host, "pelton_spans_exported_total", 0.0).await?;
    assert_eq!(lines(&host, "spans are not exported")?, 1);
    assert_eq!(stored::events(&app, "out").await?.len(), 300);
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_comes_back_gets_what_waited() -> Result<()> {
    let collector = Collector::start().await?;
    collector.answers(503);
    let app = App::with_input(&(to(&collector.endpoint(), "ratio = 1") + &probe::module(""))).await?;
    let host = app.host()?;
    app.publish("in.a", EMIT).await?;
    logged(&host, &["spans are not exported", "503"]).await?;
    collector.answers(200);
    assert_eq!(collector.gets(3).await?.len(), 3);
    logged(&host, &["spans are exported again"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variables_turn_it_on_and_the_last_spans_are_sent_at_the_end() -> Result<()> {
    let collector = Collector::start().await?;
    let app = App::with_input(&probe::module("")).await?;
    let (endpoint, headers) = (collector.endpoint() + "/otlp", "authorization=Bearer%20s3cret");
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", headers),
        ("OTEL_TRACES_SAMPLER_ARG", "1.0"),
        ("OTEL_SERVICE_NAME", "orders"),
        ("PELTON_LOG", "trace"),
    ];
    let mut host = app.host_with(&set)?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert!(host.terminate().await?.success());
    let (told, requests) = (collector.spans(), collector.requests());
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|told| told.of_resource("service.name") == "orders"), "{told:?}");
    let (path, sent) = requests.first().context("no request")?;
    assert_eq!((path.as_str(), &sent["content-type"]), ("/otlp/v1/traces", &"application/x-protobuf".parse()?));
    assert_eq!(sent["authorization"], "Bearer s3cret");
    assert_eq!(lines(&host, "s3cret")?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_reached_over_tls_with_a_header_from_a_file() -> Result<()> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let key = made.signing_key.serialize_der().try_into().map_err(anyhow::Error::msg)?;
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let collector = Collector::start_with(Arc::new(tls).into()).await?;
    let table = to(&collector.endpoint(), "headers = { x-token = { file = \"token\" } }\nratio = 1");
    let app = App::with_input(&(table + &probe::module(""))).await?;
    let (token, authority) = (app.folder().join("token"), app.folder().join("authority.pem"));
    fs::write(&token, "s3cret\n")?;
    fs::write(&authority, made.cert.pem())?;
    let mut host = app.host_with(&[("SSL_CERT_FILE", &authority.display().to_string())])?;
    app.publish("in.a", EMIT).await?;
    collector.gets(3).await?;
    assert_eq!(collector.requests().first().context("no request")?.1["x-token"], "s3cret");
    assert_eq!(lines(&host, "s3cret")?, 0);
    assert!(host.terminate().await?.success());

    fs::write(&token, "s3cret\nwith more lines\n")?;
    for (unfit, said) in [(true, "the header x-token cannot hold"), (false, "cannot read the secret in")] {
        if !unfit {
            fs::remove_file(&token)?;
        }
        let mut host = app.host_called(if unfit { "unfit" } else { "gone" })?;
        assert_eq!(host.wait(SOON).await?.code(), Some(78));
        assert!(lines(&host, said)? > 0 && lines(&host, "s3cret")? == 0, "{:?}", host.log()?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_is_shown_in_the_config() -> Result<()> {
    let app = App::with_input(&(to("collector:4318", "") + &probe::module(""))).await?;
    let output = app.pelton(&["validate"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && said.contains("\"collector:4318\" is no endpoint"), "{said}");
    Ok(())
}
