//! Messages that were removed from an input stream before a module had them: it halts and says which, or goes on and keeps
//! a dead letter. What was done before it was removed is no gap.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::stream::Config;
use futures::TryStreamExt;
use pelton_tests::{App, SOON, eventually, logged, stored};
use serde_json::{Value, json};

use crate::{identity, metrics, probe};

const EMIT: &str = r#"[{"emit":{}}]"#;
/// Lanes without inputs follow soon.
const QUICK: &str = "stream = { advance = \"100ms\" }\n";

/// A module on the subject `in.a` alone.
fn of_a(more: &str) -> String {
    probe::module(more).replace("{ stream = \"IN\" }", "{ stream = \"IN\", filter = \"in.a\" }")
}

async fn publish(app: &App, subject: &str, count: u64) -> Result<u64> {
    let mut last = 0;
    for _ in 0..count {
        last = app.publish(subject, EMIT).await?;
    }
    Ok(last)
}

/// Removes all that is in the stream `IN`, but for the last `keep` messages.
async fn purge(app: &App, keep: u64) -> Result<()> {
    app.jetstream().get_stream("IN").await?.purge().keep(keep).await?;
    Ok(())
}

/// Gives the stream `IN` other settings.
async fn set(app: &App, change: impl FnOnce(&mut Config)) -> Result<()> {
    let mut config = app.jetstream().get_stream("IN").await?.cached_info().config.clone();
    change(&mut config);
    app.jetstream().update_stream(config).await?;
    Ok(())
}

/// An app of whose module `probe` all `lanes` have done three inputs; its host has ended.
async fn ran(modules: &str, lanes: u16) -> Result<App> {
    let app = App::with_input(&format!("{QUICK}{modules}")).await?;
    let mut host = app.host_called("before")?;
    app.covered("probe", lanes, publish(&app, "in.a", 3).await?).await?;
    assert!(host.terminate().await?.success());
    Ok(app)
}

/// The dead letters of `probe`, by lane.
async fn letters(app: &App) -> Result<Vec<Value>> {
    let letters = stored::messages(app, "KV_demo", "pelton.demo.dlq.probe.>").await?;
    let there = letters.iter().filter(|letter| letter.header("KV-Operation").is_empty());
    let mut letters: Vec<Value> = there.map(stored::Stored::json).collect::<Result<_>>()?;
    letters.sort_by_key(|letter| letter["lane"].as_u64());
    Ok(letters)
}

/// What the dead letters of `probe` say was removed.
async fn removed(app: &App) -> Result<Vec<Value>> {
    Ok(letters(app).await?.iter().map(|letter| letter["removed"].clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_purged_while_the_host_was_down_halt_their_module_by_name_and_a_reset_goes_on() -> Result<()> {
    let app = identity::app().await?;
    publish(&app, "in.a", 4).await?;
    purge(&app, 0).await?;
    let parts = ["stream IN lacks messages 4 to 7 (4), which were inputs", "module reset probe --to first", "on_gap"];
    identity::only_probe_halts(&app, &parts).await?;
    let host = app.host_called("third")?;
    logged(&host, &["module halts", "probe"]).await?;
    let done = app.pelton_json(&["module", "reset", "probe", "--to", "first"])?;
    assert_eq!((&done["behind"], &done["state"]), (&json!(7), &json!("running")));
    app.covered("probe", 1, publish(&app, "in.a", 1).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 8]);
    assert!(letters(&app).await?.is_empty(), "an operator knows of it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_skip_each_lane_keeps_a_dead_letter_of_the_gap_and_later_inputs_run_once() -> Result<()> {
    let app = ran(&probe::module("lanes = 4\non_gap = \"skip\""), 4).await?;
    publish(&app, "in.a", 5).await?;
    purge(&app, 0).await?;
    let mut host = app.host()?;
    app.covered("probe", 4, publish(&app, "in.a", 3).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 9, 10, 11]);
    let found = letters(&app).await?;
    assert_eq!(found.len(), 4, "{found:?}");
    for (lane, letter) in found.iter().enumerate() {
        assert_eq!(
            (&letter["lane"], &letter["sequence"], &letter["removed"], &letter["cause"]["kind"]),
            (&json!(lane), &json!(8), &json!({ "first": 4, "last": 8 }), &json!("gap")),
        );
    }
    metrics::reads(&host, "pelton_dead_letters_total{module=\"probe\",cause=\"gap\"}", 4.0).await?;
    // It is found once.
    assert!(host.terminate().await?.success());
    let _host = app.host()?;
    app.covered("probe", 4, publish(&app, "in.a", 1).await?).await?;
    assert_eq!(removed(&app).await?.len(), 4);

    let said = |arguments: &[&str]| -> Result<String> {
        let output = app.pelton(&[&["dlq"], arguments].concat())?;
        Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    };
    let listed = said(&["ls", "--cause", "gap"])?;
    assert!(listed.contains("gap: messages 4 to 8 (5) of stream IN were inputs"), "{listed}");
    let discard = "pelton dlq discard probe --lane 2 --sequence 8";
    let shown = said(&["show", "probe", "2", "8"])?;
    assert!(shown.contains("removed messages 4 to 8 (5) of IN") && shown.contains(discard), "{shown}");
    for verb in [&["replay", "probe", "--lane", "2"][..], &["retry", "probe", "2", "8"]] {
        let refused = said(verb)?;
        assert!(refused.contains("nothing to replay") && refused.contains(discard), "{refused}");
    }
    assert_eq!(app.pelton_json(&["dlq", "discard", "probe", "--cause", "gap"])?.as_array().map(Vec::len), Some(4));
    assert!(letters(&app).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_streams_limits_removed_while_the_host_was_down_is_a_gap() -> Result<()> {
    let app = ran(&probe::module("on_gap = \"skip\""), 1).await?;
    set(&app, |stream| stream.max_messages = 2).await?;
    publish(&app, "in.a", 5).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, 8).await?;
    assert_eq!(
        (probe::causes(&app).await?, removed(&app).await?),
        (vec![1, 2, 3, 7, 8], vec![json!({"first":4,"last":6})])
    );
    assert!(host.terminate().await?.success());

    publish(&app, "in.a", 2).await?;
    expire(&app).await?;
    let _host = app.host()?;
    app.covered("probe", 1, publish(&app, "in.a", 1).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 7, 8, 11]);
    assert_eq!(removed(&app).await?, [json!({"first":4,"last":6}), json!({"first":9,"last":10})]);
    Ok(())
}

/// Waits until all that the stream `IN` holds has become too old; what comes later stays.
async fn expire(app: &App) -> Result<()> {
    let age = Duration::from_millis(200);
    set(app, |stream| (stream.max_age, stream.duplicate_window) = (age, age)).await?;
    eventually("all messages to expire", SOON, async || {
        let stream = app.jetstream().get_stream("IN").await?;
        Ok((stream.cached_info().state.messages == 0).then_some(()))
    })
    .await?;
    set(app, |stream| stream.max_age = Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_weekend_is_no_gap() -> Result<()> {
    // Lanes without inputs are told when their host ends, and not before.
    let app = App::with_input(&format!("stream = {{ advance = \"1h\" }}\n{}", probe::module("lanes = 4"))).await?;
    let mut host = app.host_called("before")?;
    publish(&app, "in.a", 5).await?;
    eventually("the inputs to be done", SOON, async || {
        let lanes = stored::checkpoints(&app, "probe", 4).await.unwrap_or_default();
        Ok(lanes.iter().any(|lane| lane.position == 5).then_some(()))
    })
    .await?;
    assert!(host.terminate().await?.success());
    let lanes = stored::checkpoints(&app, "probe", 4).await?;
    assert!(lanes.iter().all(|lane| lane.covered == 5 && lane.hash.is_some()), "{lanes:?}");
    expire(&app).await?;
    let mut host = app.host_called("monday")?;
    logged(&host, &["running"]).await?;
    publish(&app, "in.a", 1).await?;
    eventually("the next input to be done", SOON, async || {
        Ok((probe::causes(&app).await? == [1, 2, 3, 4, 5, 6]).then_some(()))
    })
    .await
    .with_context(|| app.log_end())?;
    assert!(letters(&app).await?.is_empty());
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_weekend_is_no_gap_to_a_module_whose_subjects_were_quiet_before() -> Result<()> {
    let app = App::with_input(&of_a("lanes = 2")).await?;
    let mut host = app.host_called("before")?;
    publish(&app, "in.a", 2).await?;
    app.covered("probe", 2, 2).await?;
    // Nothing of these is for the module, and its lanes know that in time.
    let last = publish(&app, "in.b", 3).await?;
    app.covered("probe", 2, last).await?;
    let lanes = stored::checkpoints(&app, "probe", 2).await?;
    assert!(lanes.iter().all(|lane| lane.position <= 2 && lane.hash.is_some()), "{lanes:?}");
    assert!(host.terminate().await?.success());
    purge(&app, 0).await?;
    let _host = app.host_called("monday")?;
    app.covered("probe", 2, publish(&app, "in.a", 1).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 6]);
    assert!(letters(&app).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_a_stream_of_which_a_module_takes_a_part_may_have_held_inputs() -> Result<()> {
    let app = ran(&of_a("on_gap = \"skip\""), 1).await?;
    publish(&app, "in.b", 2).await?;
    purge(&app, 0).await?;
    let _host = app.host()?;
    app.covered("probe", 1, publish(&app, "in.a", 1).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 6]);
    let found = letters(&app).await?;
    assert_eq!(found.len(), 1);
    let says = found[0]["cause"]["message"].as_str().unwrap_or_default();
    assert!(says.contains("messages 4 to 5 (2) of stream IN may have been inputs"), "{says}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_module_begins_at_the_first_message_there_is_and_lacks_none_before_it() -> Result<()> {
    let app = App::with_input("").await?;
    publish(&app, "in.a", 5).await?;
    purge(&app, 2).await?;
    let starts = [("first", "\"first\""), ("sequence", "2"), ("time", "\"2020-01-01T00:00:00Z\"")];
    let modules = starts.map(|(name, from)| {
        format!(
            "[modules.{name}]\nplugin = \"probe.wasm\"\ninput = {{ stream = \"IN\" }}\nemits = [\"out\"]\nfrom = {from}\n"
        )
    });
    app.configure(&modules.concat())?;
    for last in [5, 6] {
        let mut host = app.host()?;
        for (name, _) in &starts {
            app.covered(name, 1, last).await?;
        }
        assert!(host.terminate().await?.success());
        publish(&app, "in.a", 1).await?;
    }
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    assert_eq!(causes, [4, 4, 4, 5, 5, 5, 6, 6, 6]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_has_run_without_inputs_lacks_those_that_came_and_went_while_it_was_down() -> Result<()> {
    let app = App::with_input(&probe::module("from = \"new\"\non_gap = \"skip\"")).await?;
    publish(&app, "in.a", 2).await?;
    let mut host = app.host_called("before")?;
    eventually("the stream to be read", SOON, async || {
        let readers: Vec<_> = app.jetstream().get_stream("IN").await?.consumers().try_collect().await?;
        Ok(readers.iter().any(|reader| reader.num_waiting > 0).then_some(()))
    })
    .await?;
    assert!(host.terminate().await?.success());
    publish(&app, "in.a", 2).await?;
    purge(&app, 0).await?;
    let _host = app.host()?;
    app.covered("probe", 1, publish(&app, "in.a", 1).await?).await?;
    assert_eq!((probe::causes(&app).await?, removed(&app).await?), (vec![5], vec![json!({"first":3,"last":4})]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_newer_ones_replaced_or_that_were_deleted_one_by_one_are_no_gap() -> Result<()> {
    let app = ran(&probe::module(""), 1).await?;
    publish(&app, "in.a", 3).await?;
    let stream = app.jetstream().get_stream("IN").await?;
    assert!(stream.delete_message(5).await?);
    let mut host = app.host()?;
    app.covered("probe", 1, 6).await?;
    assert!(host.terminate().await?.success());
    set(&app, |stream| stream.max_messages_per_subject = 1).await?;
    let last = publish(&app, "in.a", 4).await?;
    assert_eq!(app.jetstream().get_stream("IN").await?.cached_info().state.first_sequence, last);
    let _host = app.host()?;
    app.covered("probe", 1, last).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 4, 6, 10]);
    assert!(letters(&app).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_modules_on_one_stream_only_the_one_that_was_behind_halts() -> Result<()> {
    let behind = probe::module("");
    let other = behind.replace("[modules.probe]", "[modules.other]").replace("views = [\"v\"]", "");
    let app = ran(&(behind + &other), 1).await?;
    app.pelton_json(&["module", "pause", "probe"])?;
    let mut host = app.host_called("paused")?;
    app.covered("other", 1, publish(&app, "in.a", 3).await?).await?;
    purge(&app, 1).await?;
    app.pelton_json(&["module", "resume", "probe"])?;
    logged(&host, &["module halts", "probe", "lacks messages 4 to 5 (2)"]).await?;
    app.covered("other", 1, publish(&app, "in.a", 1).await?).await?;
    assert!(host.terminate().await?.success());
    let _host = app.host_called("again")?;
    app.covered("other", 1, publish(&app, "in.a", 1).await?).await?;
    let events = stored::events(&app, "out").await?;
    let of = |module: &str| events.iter().filter(|event| event.header("ce-source").ends_with(module)).count();
    assert_eq!((of("/probe"), of("/other")), (3, 8));
    Ok(())
}

/// Has more wait for a host that stands still than the server sends ahead, and removes it all. Gives the last position.
async fn purged_under(app: &App, host: &pelton_tests::Host) -> Result<u64> {
    const MORE_THAN_SENT_AHEAD: u64 = 1_500;
    host.freeze()?;
    let last = publish(app, "in.a", MORE_THAN_SENT_AHEAD).await?;
    purge(app, 0).await?;
    host.wake()?;
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_purged_before_a_running_host_read_them_halt_the_module_before_them() -> Result<()> {
    let app = App::with_input(&format!("{QUICK}{}", probe::module(""))).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, publish(&app, "in.a", 3).await?).await?;
    let last = purged_under(&app, &host).await?;
    // Nothing more needs to come.
    let line = logged(&host, &["module halts", "probe", "lacks messages", &format!(" to {last} ")]).await?;
    let causes = probe::causes(&app).await?;
    let done = causes.len() as u64;
    assert_eq!(causes, (1..=done).collect::<Vec<_>>());
    assert!(line.contains(&format!("lacks messages {} to {last} ({})", done + 1, last - done)), "{done}: {line}");
    assert_eq!(host.wait(SOON).await?.code(), Some(1), "no module is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_purged_before_a_running_host_read_them_are_kept_as_a_gap_and_none_is_lost_unnamed() -> Result<()> {
    for module in [probe::module("lanes = 2\non_gap = \"skip\""), of_a("lanes = 2\non_gap = \"skip\"")] {
        let app = App::with_input(&format!("{QUICK}{module}")).await?;
        let mut host = app.host()?;
        app.covered("probe", 2, publish(&app, "in.a", 3).await?).await?;
        let last = purged_under(&app, &host).await?;
        let end = publish(&app, "in.a", 2).await?;
        app.covered("probe", 2, end).await?;
        let causes = probe::causes(&app).await?;
        let found = removed(&app).await?;
        assert_eq!(found.len(), 2, "one for each lane: {found:?}\n{}", app.log_end());
        let first = found.iter().filter_map(|gap| gap["first"].as_u64()).max().context("no first")?;
        assert!(found.iter().all(|gap| gap["last"] == last), "{found:?}");
        let expected: Vec<u64> = (1..first).chain(last + 1..=end).collect();
        assert_eq!(causes, expected, "{found:?}");
        assert!(host.terminate().await?.success());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_expired_are_neither_a_gap_nor_inputs_to_a_module_that_had_them() -> Result<()> {
    let fold = "[retention]\nout = \"1s\"\n[modules.fold]\nplugin = \"fold.wasm\"\ninput = { events = \"out\" }\n\
                key = { token = 5 }\nviews = [\"fold\"]\n";
    let app = App::with_input(&(probe::module("") + fold)).await?;
    let mut host = app.host_called("before")?;
    logged(&host, &["running"]).await?;
    // The server keeps nothing shorter than the mark that it puts in the place of the last event of a key.
    let mut config = app.jetstream().get_stream("KV_demo").await?.cached_info().config.clone();
    config.subject_delete_marker_ttl = Some(Duration::from_secs(4));
    app.jetstream().update_stream(config).await?;
    publish(&app, "in.a", 3).await?;
    metrics::reads(&host, "pelton_inputs_total{module=\"fold\"}", 3.0).await?;
    eventually("the events to expire", SOON, async || {
        let left = stored::events(&app, "out").await?;
        Ok(left.iter().any(|event| !event.header("Nats-Marker-Reason").is_empty()).then_some(()))
    })
    .await?;
    let has_done = async |key: &str| {
        let what = format!("the event of {key} to be done");
        eventually(&what, SOON, async || app.view("fold", key).await).await.with_context(|| app.log_end())
    };
    publish(&app, "in.b", 1).await?;
    has_done("b").await?;
    metrics::reads(&host, "pelton_inputs_total{module=\"fold\"}", 4.0).await?;
    assert!(host.terminate().await?.success());
    let _host = app.host_called("monday")?;
    publish(&app, "in.c", 1).await?;
    has_done("c").await?;
    assert!(stored::dead_letters(&app, "fold").await?.is_empty());
    Ok(())
}
