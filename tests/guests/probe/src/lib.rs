//! Does what its input says, good or bad: the payload is a list of orders.

mod order;

use std::sync::atomic::{AtomicU64, Ordering};

use order::Order;
use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, View, config, log, random};
use serde_json::json;

struct Probe;

/// What the host must not let a guest keep for ever.
static SEEN: AtomicU64 = AtomicU64::new(0);

impl Handler for Probe {
    type Payload = Vec<Order>;

    fn handle(event: Event<Vec<Order>>) -> Result<Effects, Failure> {
        let mut effects = Effects::new();
        for order in &event.payload {
            obey(order, &event, &mut effects)?;
        }
        Ok(effects)
    }
}

pelton_sdk::export_handler!(Probe);

fn obey(order: &Order, event: &Event<Vec<Order>>, effects: &mut Effects) -> Result<(), Failure> {
    match order {
        Order::Emit { n, size, category, key, attribute } => {
            for _ in 0..*n {
                let mut emitted = Emitted::raw(category, "probe.emitted", "text/plain", vec![b'x'; *size]);
                if let Some((name, size)) = attribute {
                    emitted = emitted.attribute(name, "a".repeat(*size));
                }
                effects.emit(key.iter().fold(emitted, |emitted, key| emitted.key(key)));
            }
        }
        Order::Write { view, key, value, size } => {
            let value = value.clone().map_or_else(|| vec![b'x'; *size], String::into_bytes);
            effects.write(named(view).put_raw(key, value));
        }
        Order::Writes { n, key } => {
            for index in 0..*n {
                effects.write(named("v").put_raw(&format!("{key}/{index}"), b"1".to_vec()));
            }
        }
        Order::Delete(key) => effects.write(named("v").delete(key)),
        Order::Count(key) => {
            let count = View::<u64>::new("v").get(key)?.unwrap_or(0);
            effects.write(View::<u64>::new("v").put(key, &(count + 1))?);
        }
        Order::Get { view, key } => drop(named(view).get_raw(key)),
        Order::Log(line) => log::warn(line),
        Order::Print(line) => print(line),
        Order::Config(name) => effects.emit(Emitted::json("out", "probe.config", &config::get(name))?),
        Order::Random => effects.emit(Emitted::json("out", "probe.random", &random::next())?),
        Order::Echo => effects.emit(Emitted::json("out", "probe.echo", &seen(event))?),
        Order::Retry(after) => return Err(Failure::Retry(after.map(std::time::Duration::from_millis))),
        Order::Require(key) => {
            if named("v").get_raw(key).is_none() {
                return Err(Failure::reject(format!("{key} is missing")));
            }
        }
        Order::Reject(reason) => return Err(Failure::reject(reason)),
        Order::Repeat(n, order) => {
            for _ in 0..*n {
                obey(order, event, effects)?;
            }
        }
        Order::Reads { view, n, key } => {
            let view = named(view);
            for index in 0..*n {
                drop(view.get_raw(&format!("{key}/{index}")));
            }
        }
        Order::LogBytes(size) => log::info("x".repeat(*size)),
        Order::Hidden => {
            let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
            effects.emit(Emitted::json("out", "probe.hidden", &seen)?);
        }
        Order::Panic(message) => panicking(message),
        Order::Trap => std::process::abort(),
        Order::Spin => spin(),
        Order::Grow => grow(),
    }
    Ok(())
}

/// Prints the usual way, with the time. Only a guest that is built for WASI can; others trap.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "that is the order")]
fn print(line: &str) {
    println!("out: {line}");
    eprint!("err: {line}, {} s", std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()));
}

#[allow(clippy::panic, reason = "that is the order")]
fn panicking(message: &str) -> ! {
    panic!("{message}")
}

/// A view by a name that is known only now.
fn named(view: &str) -> View<()> {
    View::new(view.to_owned().leak())
}

fn seen(event: &Event<Vec<Order>>) -> serde_json::Value {
    let attributes: Vec<_> = event.attributes.iter().map(|a| [a.name.as_str(), a.value.as_str()]).collect();
    json!({
        "id": event.id, "source": event.source, "kind": event.kind, "subject": event.subject, "key": event.key,
        "stream": event.stream, "sequence": event.sequence, "time": event.time, "content_type": event.content_type,
        "correlation": event.correlation, "causation": event.causation, "attributes": attributes,
    })
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn grow() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
