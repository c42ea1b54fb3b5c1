//! Guests that import WASI and try to get out by it: there is nothing in it, and no call of it outlasts the deadline.

use anyhow::{Result, ensure};
use pelton_tests::stored;

use super::forge::{Guest, Wit};
use super::{Row, row, run};

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
