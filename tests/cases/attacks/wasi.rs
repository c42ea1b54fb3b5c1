//! Guests that import WASI and try to get out by it: there is nothing in it, and no call of it outlasts the deadline.

use anyhow::{Context, Result, ensure};
use pelton_tests::{SOON, oracle, stored};

use super::forge::{Guest, Wit};
use super::{Row, attack, row, run};

const LIMITS: &str = "attempts = 1\nlimits = { deadline = \"100ms\", memory = \"128MiB\" }";

const SOCKETS: Wit = Wit {
    packages: &["package wasi:sockets@0.2.0;
        interface network {
            enum ip-address-family { ipv4, ipv6 }
            enum error-code {
                unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
                not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use,
                remote-unreachable, connection-refused, connection-reset, connection-aborted, datagram-too-large,
                name-unresolvable, temporary-resolver-failure, permanent-resolver-failure,
            }
        }
        interface tcp { resource tcp-socket; }
        interface udp { resource udp-socket; }
        interface tcp-create-socket {
            use network.{error-code, ip-address-family};
            use tcp.{tcp-socket};
            create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
        }
        interface udp-create-socket {
            use network.{error-code, ip-address-family};
            use udp.{udp-socket};
            create-udp-socket: func(address-family: ip-address-family) -> result<udp-socket, error-code>;
        }"],
    imports: "import wasi:sockets/tcp-create-socket@0.2.0; import wasi:sockets/udp-create-socket@0.2.0;",
};

const HOST: Wit = Wit {
    packages: &[
        "package wasi:cli@0.2.0;
        interface environment {
            get-environment: func() -> list<tuple<string, string>>;
            get-arguments: func() -> list<string>;
        }",
        "package wasi:filesystem@0.2.0;
        interface types { resource descriptor; }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }",
    ],
    imports: "import wasi:cli/environment@0.2.0; import wasi:filesystem/preopens@0.2.0;",
};

/// A guest that traps unless sockets of both kinds are denied: the answer is an error, and the error `access-denied`.
fn connects() -> Guest {
    let denied = |call: &str| {
        format!(
            "(call {call} (i32.const 0) (i32.const 256))
            (if (i32.ne (i32.load8_u (i32.const 256)) (i32.const 1)) (then unreachable))
            (if (i32.ne (i32.load8_u (i32.const 260)) (i32.const 1)) (then unreachable))"
        )
    };
    let more = r#"
        (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp (param i32 i32)))
        (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp (param i32 i32)))"#;
    Guest { more: more.to_owned(), wit: SOCKETS, ..Guest::that(&(denied("$tcp") + &denied("$udp"))) }
}

/// A guest that traps unless there are no variables, arguments and folders.
fn looks_around() -> Guest {
    let empty = |call: &str| {
        format!(
            "(call {call} (i32.const 256))
            (if (i32.load (i32.const 260)) (then unreachable))"
        )
    };
    let more = r#"
        (import "wasi:cli/environment@0.2.0" "get-environment" (func $variables (param i32)))
        (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
        (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $folders (param i32)))"#;
    let does = empty("$variables") + &empty("$arguments") + &empty("$folders");
    Guest { more: more.to_owned(), wit: HOST, ..Guest::that(&does) }
}

#[tokio::test(flavor = "multi_thread")]
async fn wasi_holds_no_sockets_files_variables_or_arguments() -> Result<()> {
    let rows = [row("connects", connects(), "", ""), row("looks-around", looks_around(), "", "")];
    let field = run(&rows, 0, |_| LIMITS).await?;
    for Row { name, .. } in &rows {
        let at = field.app.publish(&format!("attack.{name}.k"), "{}").await?;
        field.done(name, at).await?;
        let letters = stored::dead_letters(&field.app, name).await?;
        ensure!(letters.is_empty(), "{name}: {letters:?}");
    }
    field.stands().await
}

const CLOCK: Wit = Wit {
    packages: &[
        "package wasi:io@0.2.0;
        interface poll { resource pollable { block: func(); } }",
        "package wasi:clocks@0.2.0;
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            subscribe-duration: func(when: u64) -> pollable;
        }",
    ],
    imports: "import wasi:clocks/monotonic-clock@0.2.0;",
};

const OUTPUT: Wit = Wit {
    packages: &[
        "package wasi:io@0.2.0;
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream { write: func(contents: list<u8>) -> result<_, stream-error>; }
        }",
        "package wasi:cli@0.2.0;
        interface stdout {
            use wasi:io/streams@0.2.0.{output-stream};
            get-stdout: func() -> output-stream;
        }",
    ],
    imports: "import wasi:cli/stdout@0.2.0;",
};

const RANDOM: Wit = Wit {
    packages: &["package wasi:random@0.2.0;
        interface random { get-random-bytes: func(len: u64) -> list<u8>; }"],
    imports: "import wasi:random/random@0.2.0;",
};

/// A guest that sleeps for 584 years in one call.
fn sleeps() -> Guest {
    let more = r#"
        (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
        (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#;
    let does = "(call $block (call $subscribe (i64.const -1))) (loop (br 0))";
    Guest { more: more.to_owned(), wit: CLOCK, ..Guest::that(does) }
}

/// A guest that writes 15 MiB of line ends at once, again and again.
fn writes() -> Guest {
    let more = r#"
        (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
        (import "wasi:io/streams@0.2.0" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))"#;
    let does = "(local.set $at (call $stdout))
        (memory.fill (i32.const 131072) (i32.const 10) (i32.const 15728640))
        (loop (call $write (local.get $at) (i32.const 131072) (i32.const 15728640) (i32.const 256)) (br 0))";
    Guest { memory: "256", more: more.to_owned(), wit: OUTPUT, ..Guest::that(does) }
}

/// A guest that draws 64 MiB of randomness at once, again and again.
fn draws() -> Guest {
    let more = r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $draw (param i64 i32)))"#;
    let does = "(loop (global.set $next (i32.const 65536))
        (call $draw (i64.const 67108864) (i32.const 256)) (br 0))";
    Guest { memory: "1100", more: more.to_owned(), wit: RANDOM, ..Guest::that(does) }
}

/// A deadline ends a guest between its own instructions, so each call of the host has to come to an end by itself.
async fn is_ended_in_time(name: &'static str, guest: Guest, kind: &'static str) -> Result<()> {
    const INPUTS: u64 = 3;
    let rows = [row(name, guest, kind, "")];
    let field = run(&rows, 0, |_| LIMITS).await?;
    oracle::finished(&field.app).await?;
    tokio::time::timeout(SOON, attack(&field, &rows, INPUTS)).await.context("it is never ended")??;
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_sleeps_is_ended_at_once() -> Result<()> {
    is_ended_in_time("sleeps", sleeps(), "trap").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_writes_line_ends_without_number_is_ended_at_once() -> Result<()> {
    is_ended_in_time("writes", writes(), "trap").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_draws_all_randomness_it_can_get_is_ended_at_once() -> Result<()> {
    is_ended_in_time("draws", draws(), "trap").await
}
