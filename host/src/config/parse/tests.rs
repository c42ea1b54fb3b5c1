use std::path::Path;

use std::time::Duration;

use super::*;
use crate::config::Limits;
use crate::policy::OnFailure;
use crate::route::KeyExpr;

const GOOD: &str = r#"
app = "shop"

[modules.totals]
plugin = "totals.wasm"
input = { stream = "ORDERS", filter = "orders.>" }
key = { json = "/customer", missing = "nobody" }
lanes = 4
from = "2026-01-01T00:00:00Z"
views = ["totals"]
emits = ["alerts"]
limits = { deadline = "250ms", memory = "16MiB" }
digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

[modules.alarm]
plugin = "/opt/alarm.wasm"
input = { events = "alerts" }
"#;

fn parsed(text: &str) -> Result<Config, String> {
    parse(text, Path::new("conf/pelton.toml")).map_err(|error| error.to_string())
}

#[test]
fn a_config_is_read_with_its_defaults() {
    let config = parsed(GOOD).unwrap();
    let [alarm, totals] = config.modules.as_slice() else { panic!("{config:?}") };
    assert_eq!(totals.plugin, Path::new("conf/totals.wasm"));
    assert_eq!(totals.lanes.get(), 4);
    assert_eq!(totals.limits.deadline, Duration::from_millis(250));
    assert_eq!(totals.limits.memory, 16 << 20);
    assert_eq!(Limits { deadline: Duration::from_secs(1), memory: 64 << 20, ..totals.limits }, alarm.limits);
    assert_eq!((alarm.attempts, alarm.on_failure), (5, OnFailure::DeadLetter));
    assert!(totals.input.takes("orders.new") && !totals.input.takes("bills.new"));
    assert_eq!(alarm.plugin, Path::new("/opt/alarm.wasm"));
    assert_eq!(alarm.input.stream, "KV_shop");
    assert!(alarm.input.takes("pelton.shop.events.alerts.k"));
    assert_eq!(alarm.key, KeyExpr::Subject);
}

#[test]
fn what_does_not_fit_is_shown_with_line_and_column() {
    let cases = [
        ("lanes = 4", "lanes = 0", "conf/pelton.toml:8:9: lanes go from 1 to 256"),
        ("lanes = 4", "lanez = 4", "conf/pelton.toml:8:1: unknown field `lanez`"),
        ("views = [\"totals\"]", "views = [\"To tals\"]", ":10:9: \"To tals\" is not a name"),
        ("from = \"2026-01-01T00:00:00Z\"", "from = \"later\"", ":9:8: invalid value: string \"later\""),
        ("\"250ms\"", "\"soon\"", ":12:23: \"soon\" is no duration"),
        ("\"16MiB\"", "16", ":12:41: invalid type: integer `16`"),
        ("\"16MiB\"", "\"8GiB\"", ":12:41: memory goes from 4KiB to 1GiB"),
        ("\"250ms\"", "\"1h\"", ":12:23: a deadline goes from 10ms to 10m"),
        ("memory =", "memori =", ":12:32: unknown field `memori`"),
        ("sha256:0123", "sha256:", ":13:10: a digest is \"sha256:\" and 64 hex digits"),
        ("lanes = 4", "on_failure = \"panic\"", ":8:14: unknown variant `panic`"),
        ("lanes = 4", "attempts = 0", ":8:12: attempts goes from 1 to 1000"),
        ("lanes = 4", "breaker = { pause = \"2h\" }", ":8:21: a pause goes from 100ms to 1h"),
        ("lanes = 4", "dedupe = { by = \"key\", window = \"1m\" }", ":8:17: unknown variant `key`"),
        ("lanes = 4", "dedupe = { by = \"id\" }", ":8:10: missing field `window`"),
        ("lanes = 4", "dedupe = { by = \"id\", window = \"8d\" }", ":8:32: a window goes from 1ms to 7d"),
        ("events = \"alerts\"", "events = \"alarms\"", ":17:9: no module emits the category \"alarms\""),
        (
            "key = { json = \"/customer\", missing = \"nobody\" }",
            "key = { token = 0 }",
            ":7:7: tokens of a subject count",
        ),
        ("{ stream = \"ORDERS\", filter = \"orders.>\" }", "{ filter = \"a\" }", ":6:9: an input is"),
        ("\"orders.>\"", "\"orders..new\"", ":6:"),
        ("\"orders.>\"", "[\"a\", \"b\", \"a\"]", ":6:39: the filter \"a\" stands there twice"),
        ("\"orders.>\"", "[\"a.>\", \"a.*\"]", ":6:39: the filter \"a.*\" is within \"a.>\": leave \"a.*\" out"),
        ("\"orders.>\"", "[\"a.b\", \"a.*\"]", ":6:39: the filter \"a.b\" is within \"a.*\": leave \"a.b\" out"),
        ("\"orders.>\"", "[\"a.*.c\", \"a.b.*\"]", ":6:39: the filters \"a.*.c\" and \"a.b.*\" overlap"),
        ("app = \"shop\"", "app = ", ":2:"),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let error = parsed(&GOOD.replace(from, to)).unwrap_err();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn events_of_a_category_are_kept_as_long_as_the_config_says() {
    let kept = |text: &str| parsed(text).map(|config| config.modules[1].grants.emits.values().next().copied());
    assert_eq!(kept(GOOD).unwrap(), Some(None));
    let limited = format!("{GOOD}\n[retention]\nalerts = \"30d\"\n");
    assert_eq!(kept(&limited).unwrap(), Some(Some(Duration::from_secs(30 * 24 * 60 * 60))));
    let unknown = limited.replace("alerts = \"30d\"", "alarms = \"30d\"");
    assert!(kept(&unknown).unwrap_err().contains(":20:10: no module emits the category \"alarms\""));
}

#[test]
fn a_view_has_one_owner() {
    let text = format!("{GOOD}views = [\"totals\"]\n");
    assert!(parsed(&text).unwrap_err().contains("view \"totals\" is owned by module"));
}
