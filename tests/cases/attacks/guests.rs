//! Guests that never end, or take all they can get: each is ended within its limits, its input becomes a dead letter that
//! says why, and the host has its memory back.
//!
//! Without the epoch, the stack's limit or the meter the inputs would never be covered; without the end of each instance
//! twenty inputs would keep more memory than the test allows.

use anyhow::{Result, ensure};
use pelton_tests::{oracle, stored};
use wit_component::ComponentEncoder;

use super::forge::Guest;
use super::{Field, Row, attack, memory, module, row, run};

/// What guests that never end may use.
const SHORT: &str = "attempts = 1\nlimits = { deadline = \"50ms\", memory = \"16MiB\" }";
/// What all others may use: long enough to come to their limit on a busy machine.
const LONG: &str = "attempts = 1\nlimits = { deadline = \"10s\", memory = \"16MiB\" }";
/// Inputs of each guest.
const INPUTS: u64 = 10;
/// What the host's memory may differ by for reasons of its own: after a stack overflow each of its threads keeps some
/// megabytes, up to about 200 MiB for all. Thirty instances that were not ended would keep 480 MiB.
const NOISE: u64 = 128 << 20;

/// A loop that takes 1 MiB each time, and writes to it.
const GROW: &str = "(loop $more
    (local.set $at (i32.mul (memory.grow (i32.const 16)) (i32.const 65536)))
    (memory.fill (local.get $at) (i32.const 1) (i32.const 1048576))
    (br $more))";

fn rows() -> Vec<Row> {
    const POST_RETURN: &str =
        r#"(func (export "cabi_post_pelton:plugin/handler@0.1.0#handle") (param i32) (loop (br 0)))"#;
    let start = |does: &str| Guest::with(&format!("(func $start (local $at i32) {does}) (start $start)"));
    let recursive =
        "(func $deeper (param i32) (call $deeper (i32.add (local.get 0) (i32.const 1))) (drop (i32.const 0)))";
    let calls_deeper = |guest: Guest| Guest { more: format!("{recursive} {}", guest.more), ..guest };
    let declared = |memory, more: &str| Guest { memory, ..Guest::with(more) };
    vec![
        row("loop", Guest::that("(loop (br 0))"), "timeout", "50ms"),
        row("loop-in-start", start("(loop (br 0))"), "timeout", "50ms"),
        row("loop-in-realloc", Guest { realloc: "(loop (br 0)) (unreachable)", ..Guest::default() }, "timeout", "50ms"),
        row("loop-after-return", Guest::with(POST_RETURN), "timeout", "50ms"),
        row("loop-of-fills", Guest { memory: "256", ..Guest::that(FILLS) }, "timeout", "50ms"),
        row("recursion", calls_deeper(Guest::that("(call $deeper (i32.const 0))")), "limit", "stack"),
        row("recursion-in-start", calls_deeper(start("(call $deeper (i32.const 0))")), "limit", "stack"),
        row("growth", Guest::that(GROW), "limit", "memory"),
        row("growth-in-start", start(GROW), "limit", "memory"),
        row("growth-of-tables", Guest { more: "(table $t 1 funcref)".into(), ..Guest::that(TABLES) }, "limit", "table"),
        row("memory-declared", declared("16000", ""), "limit", "memory"),
        row("tables-declared", declared("4", "(table 150000 funcref)"), "limit", "table"),
        row("data-outside", declared("1", r#"(data (i32.const 65530) "beyond its end")"#), "trap", "out of bounds"),
        row("unreachable-in-start", start("(unreachable)"), "trap", "unreachable"),
    ]
}

/// A loop that writes all of 16 MiB each time, which is one instruction.
const FILLS: &str = "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216)) (br 0))";
/// A loop that takes 1,000 elements of a table each time.
const TABLES: &str = "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0))";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_ends_or_takes_all_is_ended_within_its_limits_and_gives_all_back() -> Result<()> {
    let rows = rows();
    let limits = |row: &Row| if row.fate.kind == "timeout" { SHORT } else { LONG };
    let field = run(&rows, 3, limits).await?;
    oracle::finished(&field.app).await?;
    // What the engine keeps to be used again, it has after the first attack; what is lost, is lost with each.
    attack(&field, &rows, INPUTS).await?;
    let before = memory(&field.host, "VmRSS")?;
    attack(&field, &rows, INPUTS).await?;
    let after = memory(&field.host, "VmRSS")?;
    eprintln!("twice {} inputs; memory {} and {} MiB", INPUTS * rows.len() as u64, before >> 20, after >> 20);
    ensure!(after < before + NOISE, "the host had {before} bytes, and has {after} after the same attack again");
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_fill_their_share_and_many_globals_are_no_attack() -> Result<()> {
    let globals: String = (0..50_000).map(|n| format!("(global i32 (i32.const {n}))")).collect();
    let files = [
        ("globals", Guest::with(&globals).plugin()?),
        ("data", Guest { memory: "240", data: vec![(1 << 20, vec![7; 8 << 20])], ..Guest::default() }.plugin()?),
        (
            "memory",
            Guest {
                memory: "256",
                ..Guest::that("(memory.fill (i32.const 131072) (i32.const 1) (i32.const 16000000))")
            }
            .plugin()?,
        ),
    ];
    let modules: String = files.iter().map(|(name, _)| module(name, name, LONG)).collect();
    let field = Field::new(&files, &modules).await?;
    let mut last = 0;
    for (name, _) in &files {
        last = field.app.publish(&format!("attack.{name}.k"), "{}").await?;
    }
    for (name, _) in &files {
        field.done(name, last).await?;
        ensure!(stored::dead_letters(&field.app, name).await?.is_empty(), "{name}");
    }
    field.stands().await
}

/// A plugin may have 4 memories: one with 64 lanes must not take those that other modules need.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_with_many_memories_leaves_enough_for_the_others() -> Result<()> {
    let files = [("memories", with_three_more_memories(&Guest::default().plugin()?)?)];
    let field = Field::new(&files, &module("memories", "memories", "lanes = 64")).await?;
    let mut last = 0;
    for key in 0..2_000 {
        last = field.app.publish(&format!("attack.memories.k{key}"), "{}").await?;
    }
    field.app.covered_within("memories", 64, last, pelton_tests::LONG).await?;
    field.stands().await
}

/// The component made of `module`, with a component in it that has three memories of its own.
fn with_three_more_memories(module: &[u8]) -> Result<Vec<u8>> {
    let mut component = ComponentEncoder::default().module(module)?.encode()?;
    let inner = "(component (core module $m (memory 1))
        (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance (instantiate $m)))";
    let inner = wat::parse_str(inner)?;
    ensure!(inner.len() < 128, "its length takes one byte");
    component.extend([4, inner.len() as u8]);
    component.extend(inner);
    // An instance of the second component in it; the first is the one around the handler.
    component.extend([5, 4, 1, 0, 1, 0]);
    Ok(component)
}
