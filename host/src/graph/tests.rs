use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::parse;

const SHOP: &str = r#"
app = "shop"
[modules.totals]
plugin = "a.wasm"
input = { stream = "ORDERS", filter = ["orders.>", "bills.*"] }
views = ["totals"]
emits = ["alerts", "unread"]
[modules.alarm]
plugin = "a.wasm"
input = { events = "alerts" }
emits = ["echoes"]
views = ["alarms"]
[modules.echo]
plugin = "a.wasm"
input = { stream = "KV_shop", filter = "pelton.shop.events.echoes.>" }
emits = ["alerts"]
[modules.letters]
plugin = "a.wasm"
input = { stream = "KV_shop", filter = "pelton.shop.dlq.>" }
"#;

fn graph(text: &str) -> Graph {
    Graph::of(&parse(text, Path::new("pelton.toml")).unwrap())
}

#[test]
fn modules_hang_on_streams_and_on_the_categories_that_they_take() {
    let graph = graph(SHOP);
    let ids: Vec<_> = graph.nodes.iter().map(|node| node.id.as_str()).collect();
    let streams = ["stream:KV_shop", "stream:ORDERS"];
    let modules = ["module:alarm", "module:echo", "module:letters", "module:totals"];
    let categories = ["events:alerts", "events:echoes", "events:unread"];
    assert_eq!(ids, [&streams[..], &modules, &categories, &["view:alarms", "view:totals"]].concat());
    let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from.as_str(), edge.to.as_str())).collect();
    let expected = [
        ("events:alerts", "module:alarm"),
        ("events:echoes", "module:echo"),
        ("module:alarm", "events:echoes"),
        ("module:alarm", "view:alarms"),
        ("module:echo", "events:alerts"),
        ("module:totals", "events:alerts"),
        ("module:totals", "events:unread"),
        ("module:totals", "view:totals"),
        ("stream:KV_shop", "module:letters"),
        ("stream:ORDERS", "module:totals"),
    ];
    assert_eq!(edges, expected);
    let json = serde_json::to_value(&graph).unwrap();
    assert_eq!(json["nodes"][1], json!({"id": "stream:ORDERS", "kind": "stream", "name": "ORDERS"}));
    let last = json!({"from": "stream:ORDERS", "to": "module:totals", "filters": ["orders.>", "bills.*"]});
    assert_eq!(json["edges"][9], last);
}

#[test]
fn a_module_on_the_whole_app_stream_takes_all_categories() {
    let all = SHOP.replace("filter = \"pelton.shop.events.echoes.>\" ", "").replace("\"KV_shop\", }", "\"KV_shop\" }");
    let graph = graph(&all);
    assert_eq!(graph.edges.iter().filter(|edge| edge.to.as_str() == "module:echo").count(), 3);
}

#[test]
fn the_tree_draws_everything_once() {
    let live = |state, lag| Live { state: Some(state), lag };
    let states = [
        ("totals".to_owned(), live(State::Running, Some(12))),
        ("alarm".to_owned(), live(State::Halted("no\nmore".to_owned()), None)),
    ];
    let tree = "\
stream KV_shop
└─ module letters takes pelton.shop.dlq.>
stream ORDERS
└─ module totals takes orders.>, bills.*
   ├─ events alerts
   │  └─ module alarm
   │     ├─ events echoes
   │     │  └─ module echo
   │     │     └─ events alerts (see above)
   │     └─ view alarms
   ├─ events unread
   └─ view totals";
    assert_eq!(graph(SHOP).text(), tree);
    let with_states = graph(SHOP).with_live(&states.into()).text();
    for line in
        ["totals takes orders.>, bills.* (running, lag 12)", "alarm (halted, lag unknown): no\nmore", "(never ran)"]
    {
        assert!(with_states.contains(line), "{line}: {with_states}");
    }
    let circle = "app = \"a\"\n[modules.m]\nplugin = \"a.wasm\"\ninput = { events = \"e\" }\nemits = [\"e\"]\n";
    assert_eq!(graph(circle).text(), "module m\n└─ events e\n   └─ module m (see above)");
}

#[test]
fn the_language_of_graphviz_has_all_nodes_and_edges() {
    let dot = graph(SHOP).dot();
    assert!(dot.starts_with("digraph \"shop\" {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("  \"module:totals\" [shape=box label=\"totals\\norders.>, bills.*\"];\n"), "{dot}");
    assert_eq!(dot.matches(" -> ").count(), 10);
}

#[test]
fn the_image_shows_every_node_and_edge_and_nothing_else_in_it_is_markup() {
    let text = SHOP.replace("\"ORDERS\"", "\"A<b>&\\\"c\"").replace("A<b>&\\\"c", "A<b&\\\"");
    let states = [("alarm".to_owned(), Live { state: Some(State::Halted("<script>".to_owned())), lag: Some(1) })];
    let svg = graph(&text).with_live(&states.into()).svg();
    assert_eq!(svg.matches("<rect").count(), 11);
    assert_eq!(svg.matches("class=\"line\"").count(), 10);
    assert!(svg.contains(">A&lt;b&amp;&quot;</text>") && svg.contains("&lt;script&gt;"), "{svg}");
    assert!(!svg.contains("<script") && svg.contains("class=\"module halted\""), "{svg}");
    for needed in ["prefers-color-scheme:dark", "role=\"img\"", "<title id", "<desc id"] {
        assert!(svg.contains(needed), "{needed}");
    }
}
