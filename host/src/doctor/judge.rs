//! What the facts mean, and what mends what is not as it should be. Pure.

use super::monitor::Monitored;
use super::{AppStream, Facts, Finding, Input, Module, Server, Storage, Sync};
use crate::commit::app_stream::OLDEST_SERVER;
use crate::commit::record::State;
use crate::subject::Name;

/// Seconds by which clocks may differ before ages and audit times mislead.
const CLOCK: f64 = 2.0;
/// How much of a limit may be used before somebody should know, and before it is too late: in hundredths.
const FULL: (u64, u64) = (80, 95);

/// What `facts` mean, in the order in which one would mend it.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = server(&facts.server);
    found.extend(facts.witness.as_ref().err().map(|why| {
        Finding::error(
            "app stream",
            why,
            "follow what it says; `nats stream ls` and `nats stream info` show what is there",
        )
    }));
    match &facts.app_stream {
        Some(stream) => found.extend(app_stream(stream, facts.server.sync_of(stream.replicas))),
        None => found.push(Finding::warn("app stream", "there is none yet", "pelton run")),
    }
    found.extend(facts.unlisted.iter().map(|why| {
        Finding::error("app stream", why, "nats stream info; if this user may not ask, pelton permissions --role host")
    }));
    for (name, plugin) in &facts.plugins {
        found.push(match plugin {
            Ok(()) => Finding::ok(format!("plugin of {name}"), "loads"),
            Err(why) => Finding::error(format!("plugin of {name}"), why, "pelton validate"),
        });
    }
    for (name, stream) in &facts.inputs {
        let replicas = facts.app_stream.as_ref().map_or(1, |app| app.replicas);
        found.extend(input(name, stream, replicas));
    }
    for (name, module) in &facts.modules {
        let stream = facts.inputs.get(&module.stream).and_then(|stream| stream.as_ref().ok());
        found.extend(self::module(name, module, stream));
    }
    found.extend(facts.left.iter().map(|name| {
        let seen = "the app stream knows it, the config does not: what it wrote stays, and nothing runs it";
        Finding::warn(format!("module {name}"), seen, "put it back into the config if that was not meant")
    }));
    found.extend(facts.dead_letters.iter().filter(|(_, count)| **count > 0).map(|(name, count)| {
        let mend = format!("pelton dlq ls {name}, then replay or discard");
        Finding::warn(format!("module {name}"), format!("{count} dead letters wait"), mend)
    }));
    found
}

fn server(server: &Server) -> Vec<Finding> {
    let mut found = Vec::new();
    let (major, minor, patch) = OLDEST_SERVER;
    found.push(if server.fits {
        Finding::ok("server", format!("nats-server {}", server.version))
    } else {
        let seen = format!("nats-server {} is too old for several guards in a batch", server.version);
        Finding::error("server", seen, format!("install nats-server {major}.{minor}.{patch} or newer"))
    });
    found.push(match &server.jetstream {
        Err(why) => Finding::error("jetstream", why, "enable jetstream for this account in the server's config"),
        Ok(storage) => stored("jetstream", *storage, "raise the account's limit, or remove streams"),
    });
    for (address, monitored) in &server.monitored {
        found.push(match monitored {
            Err(why) => {
                Finding::error(format!("server at {address}"), why, "http_port in its config says where it tells")
            }
            Ok(Monitored { server, storage, .. }) => {
                let mend = "raise max_file_store and see that the disk has that room, or remove streams";
                stored(&format!("storage of {server}"), *storage, mend)
            }
        });
    }
    found.extend(server.ahead.map(|ahead| {
        let seen = format!(
            "the server's is {:.1} s {} this machine's",
            ahead.abs(),
            if ahead < 0.0 { "behind" } else { "ahead of" }
        );
        if ahead.abs() > CLOCK {
            Finding::warn("clock", seen, "run a time service (chrony, systemd-timesyncd) on both machines")
        } else {
            Finding::ok("clock", seen)
        }
    }));
    found
}

/// How full something is.
fn stored(what: &str, Storage { used, limit }: Storage, mend: &str) -> Finding {
    let Some(limit) = limit else {
        let seen =
            format!("{} stored; the account has no limit but those of the servers (--monitor tells them)", bytes(used));
        return Finding::ok(what, seen);
    };
    let seen = format!("{} of {} stored", bytes(used), bytes(limit));
    match used.saturating_mul(100) / limit.max(1) {
        part if part >= FULL.1 => Finding::error(what, seen, mend),
        part if part >= FULL.0 => Finding::warn(what, seen, mend),
        _ => Finding::ok(what, seen),
    }
}

fn app_stream(stream: &AppStream, sync: Option<Sync>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.push(match &stream.setting {
        Ok(()) => Finding::ok("app stream", "its settings are those that a commit needs"),
        Err(why) => Finding::error("app stream", why, "nats stream edit, as it says"),
    });
    found.push(match &stream.may_publish {
        Ok(()) => Finding::ok("permissions", "this user may publish to the app stream"),
        Err(why) => Finding::error(
            "permissions",
            format!("this user may not publish to the app stream: {why}"),
            "pelton permissions --role host",
        ),
    });
    found.push(durability(stream.replicas, sync));
    let days = stream.age.as_secs_f64() / 86_400.0;
    let daily =
        if days > 0.01 { format!(", {} a day", bytes((stream.bytes as f64 / days) as u64)) } else { String::new() };
    let size = format!("{} messages, {}{daily}", stream.messages, bytes(stream.bytes));
    found.push(if stream.kept_for_ever.is_empty() {
        Finding::ok("growth", size)
    } else {
        let names = stream.kept_for_ever.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        Finding::ok("growth", format!("{size}; kept for ever: {names} ([retention] in the config limits that)"))
    });
    found
}

/// What "committed" means.
fn durability(replicas: usize, sync: Option<Sync>) -> Finding {
    let stored = format!("a commit is stored by {} of {replicas} servers", replicas / 2 + 1);
    match (replicas, sync) {
        (_, Some(Sync::Always)) => Finding::ok("durability", format!("{stored}, on disk")),
        (3.., Some(Sync::Every(interval))) => {
            let seen =
                format!("{stored}, on disk within {interval:?}: only a power loss of most of them takes commits");
            Finding::ok("durability", seen)
        }
        (3.., None) => Finding::warn(
            "durability",
            format!("{stored}; when they write it to disk is unknown to this account (2 minutes unless configured)"),
            "ask each of the servers: --monitor http://HOST:8222; `sync_interval: always` keeps commits over a power loss of all",
        ),
        (_, Some(Sync::Every(interval))) => Finding::warn(
            "durability",
            format!("{stored}, on disk within {interval:?}: a power loss takes the commits since"),
            "set `sync_interval: always` in the server's jetstream block, or run 3 servers and 3 replicas",
        ),
        (_, None) => Finding::warn(
            "durability",
            format!("{stored}; when it writes to disk is unknown to this account (2 minutes unless configured)"),
            "ask the server: --monitor http://HOST:8222; `sync_interval: always` in its jetstream block, or 3 servers and 3 \
             replicas, keep commits over a power loss",
        ),
    }
}

fn input(name: &str, stream: &Result<Input, String>, replicas: usize) -> Vec<Finding> {
    let what = || format!("stream {name}");
    let stream = match stream {
        Ok(stream) => stream,
        Err(why) => {
            let mend = format!("nats stream info {name}; make it or mend it as it says");
            return vec![Finding::error(what(), why, mend)];
        }
    };
    let mut found = Vec::new();
    if let Some(subject) = &stream.overlaps {
        let seen = format!(
            "its subject {subject} overlaps the app's own subjects: whoever publishes there could forge commits"
        );
        found.push(Finding::error(what(), seen, format!("nats stream edit {name} --subjects …")));
    }
    if stream.replicas < replicas {
        let seen = format!(
            "it is stored by {} of the servers, the app stream by {replicas}: when those are lost, so are its inputs",
            stream.replicas
        );
        found.push(Finding::warn(what(), seen, format!("nats stream edit {name} --replicas {replicas}")));
    }
    if !stream.in_files {
        let seen = "it is stored in memory: when its server restarts it is another stream, and its modules halt";
        found.push(Finding::warn(what(), seen, "make it anew with file storage, under another name"));
    }
    if stream.refuses && (stream.most_messages.is_some() || stream.limits_bytes) {
        let seen = "it refuses messages when it is full (discard new): producers fail then";
        found.push(Finding::warn(what(), seen, format!("nats stream edit {name} --discard old, if that is not meant")));
    }
    if found.is_empty() {
        let limits = [
            stream.most_messages.map(|most| format!("{most} messages")),
            stream.longest.map(|longest| format!("{longest:?}")),
            stream.limits_bytes.then(|| "a number of bytes".to_owned()),
        ];
        let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let kept = if limits.is_empty() { "it keeps all".to_owned() } else { format!("it keeps {limits}") };
        found.push(Finding::ok(what(), format!("{kept}; it holds {} to {}", stream.holds.0, stream.holds.1)));
    }
    found
}

fn module(name: &Name, module: &Module, stream: Option<&Input>) -> Vec<Finding> {
    let what = || format!("module {name}");
    let mut found: Vec<Finding> = Vec::new();
    if let Some(changed) = &module.changed {
        found.push(Finding::error(
            what(),
            changed,
            "pelton module show; set it back in the config, or give it a new name",
        ));
    }
    found.extend(state(name, module));
    if let Some((record, checkpoints)) = module.stands() {
        if checkpoints.len() != usize::from(record.lanes) {
            let seen = format!("{} of its {} lanes have a checkpoint", checkpoints.len(), record.lanes);
            found.push(Finding::error(what(), seen, "restore the app stream from a backup"));
        }
        if let Some(stream) = stream {
            found.extend(positions(name, module, stream));
        }
    }
    if found.is_empty() && module.hosts == Some(0) {
        found.push(Finding::warn(what(), "it is to run, but no host runs it", "pelton run"));
    }
    if found.is_empty() {
        let behind = module.behind.0.map_or_else(|| "an unknown number of".to_owned(), |behind| behind.to_string());
        found.push(Finding::ok(what(), format!("runs, {behind} inputs behind")));
    }
    found
}

fn state(name: &Name, module: &Module) -> Option<Finding> {
    let what = format!("module {name}");
    let record = match &module.ran {
        Err(why) => return Some(Finding::error(what, why, "restore the app stream from a backup, if it is damaged")),
        Ok(None) => return Some(Finding::warn(what, "it never ran", "pelton run")),
        Ok(Some((record, _))) => record,
    };
    match &record.state {
        State::Running => None,
        State::Paused => Some(Finding::warn(what, "it is paused", format!("pelton module resume {name}"))),
        State::Halted(why) => {
            let mend = format!("mend the cause, then pelton module resume {name}");
            Some(Finding::error(what, format!("it halted: {why}"), mend))
        }
    }
}

const REBIND: &str = "restore the stream, or have the module go on in this one with `pelton module reset`";

/// Whether the stream is what the checkpoints saw, and whether it still holds what the lanes have before them.
fn positions(name: &Name, module: &Module, stream: &Input) -> Vec<Finding> {
    let what = || format!("module {name}");
    let Some((_, checkpoints)) = module.stands() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(other) = checkpoints.iter().find(|checkpoint| checkpoint.created != stream.created) {
        let seen =
            format!("its checkpoints are of a stream made {}, this one was made {}", other.created, stream.created);
        found.push(Finding::error(what(), seen, REBIND));
        return found;
    }
    let covered = checkpoints.iter().map(|checkpoint| checkpoint.covered.0);
    let (least, most) = (covered.clone().min().unwrap_or(0), covered.max().unwrap_or(0));
    if most > stream.holds.1 {
        let seen = format!("its checkpoint is at {most}, but stream {} ends at {}", module.stream, stream.holds.1);
        found.push(Finding::error(what(), seen, REBIND));
    }
    if stream.holds.0 > least + 1 && module.behind.0 != Some(0) {
        let seen = format!(
            "it is at {least}, but stream {} begins at {}: its limits may have removed inputs that were not processed",
            module.stream, stream.holds.0
        );
        found.push(Finding::error(what(), seen, format!("raise the limits of stream {}", module.stream)));
    }
    let half = |behind: f64, limit: f64| behind > limit / 2.0;
    let by_count =
        module.behind.0.zip(stream.most_messages).is_some_and(|(behind, most)| half(behind as f64, most as f64));
    let by_age =
        module.behind.1.zip(stream.longest).is_some_and(|(behind, longest)| half(behind, longest.as_secs_f64()));
    if by_count || by_age {
        let seen = format!("it is so far behind that the limits of stream {} may outrun it", module.stream);
        found.push(Finding::warn(
            what(),
            seen,
            format!("raise the limits of stream {}, or make the module faster", module.stream),
        ));
    }
    found
}

/// A number of bytes for people.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    let unit = UNITS.into_iter().find(|(_, size)| count >= *size).unwrap_or(("B", 1));
    if unit.1 == 1 { format!("{count} B") } else { format!("{:.1} {}", count as f64 / unit.1 as f64, unit.0) }
}
