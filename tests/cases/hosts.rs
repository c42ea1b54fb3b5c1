//! Several hosts run one app: they share its lanes, take over from each other, and each input has its effects once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use pelton_tests::{App, Host, SOON, eventually, logged, oracle, stored};

use crate::{metrics, probe};

/// Heartbeats that count for two seconds.
pub const QUICK: &str = "[hosts]\nttl = \"2s\"\n";

/// An app whose hosts miss each other soon.
async fn app(modules: &str) -> Result<App> {
    App::with_input(&format!("{QUICK}{modules}")).await
}

/// Who owns the lanes of a module; none for a lane that nobody owns.
async fn owners<S>(app: &App<S>, module: &str, lanes: u16) -> Result<Vec<Option<String>>> {
    let checkpoints = stored::checkpoints(app, module, lanes).await?;
    Ok(checkpoints.into_iter().map(|checkpoint| checkpoint.owner).collect())
}

/// Waits until the lanes of a module are owned by so many hosts, all of them.
pub async fn shared_by<S>(app: &App<S>, module: &str, lanes: u16, hosts: usize) -> Result<BTreeSet<String>> {
    let what = format!("the lanes of {module} to be shared by {hosts} hosts");
    let shared = eventually(&what, SOON, async || {
        let owners = owners(app, module, lanes).await?;
        let all: Option<BTreeSet<String>> = owners.into_iter().collect();
        Ok(all.filter(|all| all.len() == hosts))
    });
    shared.await.with_context(|| app.log_end())
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_shared_and_move_when_hosts_join_leave_and_die() -> Result<()> {
    let app = app(&probe::module("lanes = 32")).await?;
    let publish = async |rounds: u64| -> Result<u64> {
        let mut last = 0;
        for round in 0..rounds {
            last = app.publish(&format!("in.k{}", round % 50), r#"[{"emit":{}}]"#).await?;
        }
        Ok(last)
    };
    let mut first = app.host_called("first")?;
    app.covered("probe", 32, publish(100).await?).await?;
    let alone = shared_by(&app, "probe", 32, 1).await?;

    let mut second = app.host_called("second")?;
    let two = shared_by(&app, "probe", 32, 2).await?;
    assert!(two.is_superset(&alone), "who was there keeps a share");
    logged(&first, &["lanes go to another host"]).await?;
    app.covered("probe", 32, publish(100).await?).await?;

    let mut third = app.host_called("third")?;
    let three = shared_by(&app, "probe", 32, 3).await?;
    assert!(three.is_superset(&two));

    // One that ends in good order leaves nothing to wait for.
    assert!(first.terminate().await?.success());
    let left = shared_by(&app, "probe", 32, 2).await?;
    assert!(left.is_disjoint(&alone));
    app.covered("probe", 32, publish(100).await?).await?;

    // Of one that dies the others hear when its heartbeat has expired.
    third.kill9()?;
    shared_by(&app, "probe", 32, 1).await?;
    logged(&second, &["another host has ended"]).await?;
    app.covered("probe", 32, publish(100).await?).await?;
    let events = stored::messages(&app, "KV_demo", "pelton.demo.events.>").await?;
    assert_eq!(events.len(), 400, "each input has its effect once");
    owns_all(&app, &second).await?;
    assert!(second.terminate().await?.success());
    assert_eq!(owners(&app, "probe", 32).await?, vec![None; 32], "who ends in good order leaves nothing owned");
    Ok(())
}

/// Verbs, metrics and log say that the host owns all lanes, and how many it took over.
async fn owns_all(app: &App, host: &Host) -> Result<()> {
    logged(host, &["lanes are taken over", "probe"]).await?;
    metrics::reads(host, "pelton_lanes{module=\"probe\"}", 32.0).await?;
    let shown = app.pelton_json(&["module", "show", "probe"])?;
    let (owner, taken) = (&shown["hosts"][0], shown["hosts"][0]["taken"].as_u64().context("no number")?);
    assert!(shown["hosts"][1].is_null() && owner["lanes"] == "0-31" && taken >= 32, "{owner}");
    let samples = metrics::samples(host).await?;
    assert_eq!(samples.get("pelton_lanes_taken_total{module=\"probe\"}"), Some(&(taken as f64)));
    assert_eq!(samples.get("pelton_lanes_lost_total{module=\"probe\"}"), Some(&0.0));
    let text = |verb: &[&str]| anyhow::Ok(String::from_utf8(app.pelton(verb)?.stdout)?);
    let (list, show) = (text(&["module", "ls"])?, text(&["module", "show", "probe"])?);
    assert!(list.contains(&format!("{taken}/0")), "{list}");
    let name = owner["host"].as_str().context("no text")?;
    assert_eq!(show.lines().filter(|line| line.contains(name)).count(), 1 + 32, "{show}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_input_has_its_effects_once_and_in_order_while_hosts_come_and_go() -> Result<()> {
    let app = app(oracle::MODULES).await?;
    let load = oracle::publish(&app, 12_000);
    let coming_and_going = async {
        let mut first = app.host_called("first")?;
        oracle::reached(&app, 500).await?;
        let mut second = app.host_called("second")?;
        oracle::reached(&app, 3_000).await?;
        first.kill9()?;
        let mut first = app.host_called("first")?;
        oracle::reached(&app, 6_000).await?;
        second.terminate().await?;
        let mut third = app.host_called("third")?;
        oracle::reached(&app, 9_000).await?;
        first.kill9()?;
        let second = app.host_called("second")?;
        third.terminate().await?;
        anyhow::Ok(second)
    };
    let (_, mut last) = tokio::try_join!(load, coming_and_going)?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    assert!(last.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stood_still_commits_nothing_late_and_gets_its_share_back() -> Result<()> {
    let app = app(oracle::MODULES).await?;
    let mut stands_still = app.host_called("stands-still")?;
    let mut goes_on = app.host_called("goes-on")?;
    tokio::try_join!(oracle::reached(&app, 1_000), oracle::publish(&app, 6_000))?;
    shared_by(&app, "oracle", oracle::LANES, 2).await?;
    stands_still.freeze()?;
    logged(&goes_on, &["another host has ended"]).await?;
    shared_by(&app, "oracle", oracle::LANES, 1).await?;
    oracle::publish(&app, 2_000).await?;
    oracle::finished(&app).await?;
    stands_still.wake()?;
    oracle::publish(&app, 2_000).await?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    shared_by(&app, "oracle", oracle::LANES, 2).await?;
    assert!(stands_still.terminate().await?.success());
    assert!(goes_on.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_other_settings_waits_until_nobody_runs_the_module_as_it_was() -> Result<()> {
    let app = app(&probe::module("lanes = 4\nattempts = 3")).await?;
    let mut first = app.host_called("first")?;
    app.covered("probe", 4, app.publish("in.a", "[]").await?).await?;
    let before = shared_by(&app, "probe", 4, 1).await?;

    app.configure(&format!("{QUICK}{}", probe::module("lanes = 4\nattempts = 4")))?;
    let mut other = app.host_called("other")?;
    logged(&other, &["module does not run on this host", "its settings here are not those that"]).await?;
    app.covered("probe", 4, app.publish("in.a", "[]").await?).await?;
    assert_eq!(shared_by(&app, "probe", 4, 1).await?, before);
    assert_eq!(other.http().await?.get("/readyz").await?.status, 200, "so that a rolling update goes on");
    let shown = String::from_utf8(app.pelton(&["module", "show", "probe"])?.stdout)?;
    assert!(shown.contains(" does not run it: its settings here are not those that "), "{shown}");
    let listed = String::from_utf8(app.pelton(&["module", "ls"])?.stdout)?;
    assert!(listed.contains("1, 1 differ"), "{listed}");

    assert!(first.terminate().await?.success());
    let after = shared_by(&app, "probe", 4, 1).await?;
    assert!(after.is_disjoint(&before));
    app.covered("probe", 4, app.publish("in.a", "[]").await?).await?;
    assert!(other.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_and_halt_stop_a_module_on_all_hosts() -> Result<()> {
    let app = app(&probe::module("lanes = 32\non_failure = \"halt\"")).await?;
    let (mut first, mut second) = (app.host_called("first")?, app.host_called("second")?);
    logged(&first, &["running"]).await?;
    shared_by(&app, "probe", 32, 2).await?;
    app.pelton_json(&["module", "pause", "probe"])?;
    let nobody = async |what: &str| {
        eventually(what, SOON, async || Ok(owners(&app, "probe", 32).await?.iter().all(Option::is_none).then_some(())))
            .await
            .with_context(|| app.log_end())
    };
    nobody("all lanes to be released by the pause").await?;
    app.pelton_json(&["module", "resume", "probe"])?;
    shared_by(&app, "probe", 32, 2).await?;
    app.publish("in.a", r#"[{"reject":"no"}]"#).await?;
    nobody("all lanes to be released by the halt").await?;
    for host in [&first, &second] {
        logged(host, &["module halts"]).await?;
    }
    // Hosts whose modules all halted end.
    for host in [&mut first, &mut second] {
        assert_eq!(host.wait(SOON).await?.code(), Some(1));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_run_where_their_labels_are_and_reads_need_none() -> Result<()> {
    let app = app(&probe::module("hosts = [\"big\"]")).await?;
    let mut reads = app.host_told("reads", &["--reads-only"])?;
    let mut small = app.host_told("small", &["--label", "small"])?;
    for host in [&reads, &small] {
        logged(host, &["running"]).await?;
    }
    let last = app.publish("in.a", r#"[{"write":{"key":"a","value":"1"}}]"#).await?;
    assert!(stored::checkpoints(&app, "probe", 1).await?.is_empty(), "nobody may run it");
    let mut big = app.host_told("big", &["--label", "big", "--label", "other"])?;
    app.covered("probe", 1, last).await?;
    let answer = reads.http().await?.get(&format!("/views/v/a?after=IN:{last}")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for host in [&mut reads, &mut small, &mut big] {
        assert!(host.terminate().await?.success());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_only_reads_runs_nothing_that_others_may_run() -> Result<()> {
    let app = app(&probe::module("lanes = 32")).await?;
    let reads = app.host_told("reads", &["--reads-only"])?;
    logged(&reads, &["running"]).await?;
    let works = app.host_called("works")?;
    logged(&works, &["lanes are taken over"]).await?;
    shared_by(&app, "probe", 32, 1).await?;
    app.covered("probe", 32, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    assert!(!reads.log()?.join("\n").contains("lanes are taken over"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_reaches_all_hosts_and_one_of_them_answers() -> Result<()> {
    let app = app(&probe::module("lanes = 32")).await?;
    let mut hosts: Vec<Host> =
        ["first", "second", "third"].map(|name| app.host_called(name)).into_iter().collect::<Result<_>>()?;
    logged(&hosts[0], &["running"]).await?;
    shared_by(&app, "probe", 32, 3).await?;
    let mut bytes = std::fs::read(pelton_tests::plugins()?.join("probe.wasm"))?;
    // A custom section named `x`, which changes nothing but the digest.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    let other = app.folder().join("other.wasm");
    std::fs::write(&other, bytes)?;
    let path = other.to_str().context("text")?;
    let swapped = app.pelton_json(&["module", "swap", "probe", "--plugin", path, "--untried"])?;
    let digest = swapped["plugin"].as_str().context("a digest")?.to_owned();
    for host in &hosts {
        eventually("all hosts to go over", SOON, async || {
            let log = host.log()?.join("\n");
            Ok((log.contains("goes over to") && log.contains(&digest)).then_some(()))
        })
        .await?;
    }
    app.covered("probe", 32, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    assert_eq!(shared_by(&app, "probe", 32, 3).await?.len(), 3, "all still run it");
    for host in &mut hosts {
        assert!(host.terminate().await?.success());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_expire_when_they_are_to_also_in_a_bucket_of_an_earlier_version() -> Result<()> {
    let app = app(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    assert!(host.terminate().await?.success());
    // As earlier versions made them: then the server keeps a heartbeat for as long as a marker.
    for stream in ["KV_demo", "KV_demo-hosts"] {
        let mut config = app.jetstream().get_stream(stream).await?.cached_info().config.clone();
        config.subject_delete_marker_ttl = Some(Duration::from_secs(86_400));
        app.jetstream().update_stream(config).await?;
    }
    let mut host = app.host_called("next")?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    for stream in ["KV_demo", "KV_demo-hosts"] {
        let config = app.jetstream().get_stream(stream).await?.cached_info().config.clone();
        assert_eq!(config.subject_delete_marker_ttl, Some(Duration::from_secs(1)), "{stream}");
    }
    let beats = stored::messages(&app, "KV_demo-hosts", "$KV.demo-hosts.hosts.>").await?;
    let beat = beats.iter().find(|beat| !beat.payload.is_empty()).context("a heartbeat")?;
    assert_eq!(beat.header("Nats-TTL"), "2s");
    assert!(host.terminate().await?.success());
    Ok(())
}
