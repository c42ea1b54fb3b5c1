use std::path::Path;

use std::time::Duration;

use super::*;
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
deadline = "250ms"
memory = "16MiB"

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
        ("\"250ms\"", "\"soon\"", ":12:12: \"soon\" is no duration"),
        ("\"16MiB\"", "16", ":13:10: invalid type: integer `16`"),
        ("events = \"alerts\"", "events = \"alarms\"", ":17:9: no module emits the category \"alarms\""),
        (
            "key = { json = \"/customer\", missing = \"nobody\" }",
            "key = { token = 0 }",
            ":7:7: tokens of a subject count",
        ),
        ("{ stream = \"ORDERS\", filter = \"orders.>\" }", "{ filter = \"a\" }", ":6:9: an input is"),
        ("\"orders.>\"", "\"orders..new\"", ":6:"),
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
