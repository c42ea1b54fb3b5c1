//! One config and its cases, and what is found in them.

use std::path::Path;

use super::*;
use crate::cases::File;
use crate::config;

/// A module with its cases; they stand in `cases/MODULE.json`.
type Cases<'a> = &'a [(&'a str, &'a str)];

fn facts(role: Role) -> Result<Facts, String> {
    Ok(Facts { role, imports: vec!["pelton:plugin/views@0.1.0".into()], form: Form::Module })
}

/// What is found, as `line weight rule`; lines of cases begin with their file.
fn found(modules: &str, cases: Cases<'_>, plugin: impl Fn(&str) -> Result<Facts, String>) -> Vec<String> {
    let text = format!("app = \"a\"\n{modules}");
    let path = Path::new("pelton.toml");
    let config = config::parse(&text, path).unwrap();
    let source = Source::new(path, &text);
    let modules = config.modules.iter().map(|module| {
        let name = module.name.as_str();
        let of_module = cases.iter().filter(|(of, _)| *of == name);
        let files =
            of_module.map(|(name, text)| File::parse(format!("cases/{name}.json").into(), (*text).into()).unwrap());
        Known { module, plugin: plugin(name), cases: files.collect() }
    });
    let app = App { config: &config, source: &source, modules: modules.collect() };
    let shown = lint(&app).into_iter().map(|finding| {
        assert!(!finding.message.is_empty() && !finding.help.is_empty());
        let file = if finding.file == path { String::new() } else { format!("{}:", finding.file.display()) };
        format!("{file}{} {:?} {}", finding.line, finding.weight, finding.rule).to_lowercase()
    });
    shown.collect()
}

const INPUT: &str = "plugin = \"p\"\ninput = { stream = \"S\" }";
/// Writes the view `v` and emits to `c`.
const CASES: &str = r#"{ "cases": [
  { "name": "a", "then": {
      "events": [{ "category": "c", "kind": "k", "data": 1 }],
      "writes": [{ "view": "v", "key": "key", "value": 1 }] } } ] }"#;

#[test]
fn what_is_as_it_should_be_is_not_found() {
    let modules = format!(
        "[modules.m]\n{INPUT}\nviews = [\"v\"]\nemits = [\"c\"]\n[modules.n]\nplugin = \"p\"\ninput = {{ events = \"c\" }}\nviews = [\"w\"]\n"
    );
    let second = r#"{ "cases": [{ "name": "b", "when": { "kind": "k" }, "then": { "writes": [{ "view": "w", "key": "key", "value": 1 }] } }] }"#;
    assert!(found(&modules, &[("m", CASES), ("n", second)], |_| facts(Role::Handler)).is_empty());
}

#[test]
fn lines_and_rules_are_named() {
    let own = "views = [\"v\"]";
    for (lines, cases, role, expected) in [
        (format!("{INPUT}\n{own}"), "", Role::Handler, vec!["3 note no-cases"]),
        (
            INPUT.to_owned(),
            "",
            Role::Projector,
            vec!["2 warning unowned-views", "3 note no-cases", "3 warning no-effect"],
        ),
        (
            format!("{INPUT}\n{own}\nemits = [\"c\", \"d\"]"),
            CASES,
            Role::Handler,
            vec!["6 warning unemitted", "6 note unread", "6 note unread"],
        ),
        (format!("{INPUT}\nviews = [\"v\", \"w\"]"), CASES, Role::Handler, vec!["5 warning unwritten"]),
        (
            format!("{INPUT}\n{own}\nemits = [\"c\"]"),
            CASES,
            Role::Projector,
            vec!["6 warning projector-emits", "6 note unread"],
        ),
        (format!("{INPUT}\n{own}\nfresh = true"), CASES, Role::Projector, vec!["6 note fresh"]),
        (
            format!("{INPUT}\n{own}\nattempts = 1"),
            r#"{ "cases": [{ "name": "a", "then": { "retry": {} } }] }"#,
            Role::Projector,
            vec!["5 warning unwritten", "6 warning attempts"],
        ),
        (
            format!("{INPUT}\n{own}\non_failure = \"halt\"\nbreaker = {{ failures = 3 }}"),
            CASES,
            Role::Projector,
            vec!["7 warning breaker"],
        ),
        (
            format!(
                "plugin = \"p\"\ninput = {{ stream = \"S\", filter = [\"a.b\", \"a.c\"] }}\n{own}\nkey = {{ token = 2 }}\nlanes = 8"
            ),
            CASES,
            Role::Projector,
            vec!["6 warning lanes"],
        ),
        (
            format!("plugin = \"p\"\ninput = {{ stream = \"S\", filter = \"a.*\" }}\n{own}\nkey = {{ token = 3 }}"),
            CASES,
            Role::Projector,
            vec!["6 warning no-key"],
        ),
        (
            format!("{INPUT}\n{own}\nkey = {{ json = \"/id\" }}"),
            r#"{ "cases": [
              { "name": "right", "when": { "key": "x", "payload": { "id": "x" } },
                "then": { "writes": [{ "view": "v", "key": "x", "value": 1 }] } },
              { "name": "wrong", "when": { "key": "x", "payload": { "id": "y" } }, "then": {} }
            ] }"#,
            Role::Projector,
            vec!["cases/m.json:4 warning case-key"],
        ),
    ] {
        let cases = if cases.is_empty() { vec![] } else { vec![("m", cases)] };
        assert_eq!(found(&format!("[modules.m]\n{lines}\n"), &cases, |_| facts(role)), expected, "{lines}");
    }
}

#[test]
fn a_plugin_that_does_not_load_is_a_finding() {
    let modules = format!("[modules.m]\n{INPUT}\nviews = [\"v\"]\n");
    assert_eq!(found(&modules, &[("m", CASES)], |_| Err("gone".into())), ["3 warning plugin"]);
}

#[test]
fn modules_that_feed_each_other_and_types_that_nobody_emits_are_found() {
    let module = |name: &str, from: &str, to: &str| {
        format!("[modules.{name}]\nplugin = \"p\"\ninput = {{ events = \"{from}\" }}\nemits = [\"{to}\"]\n")
    };
    let modules = module("m", "d", "c") + &module("n", "c", "d");
    let of = |category: &str, kind: &str, emits: &str| {
        format!(
            r#"{{ "cases": [{{ "name": "a", "when": {{ "kind": "{kind}" }},
              "then": {{ "events": [{{ "category": "{category}", "kind": "{emits}", "data": 1 }}] }} }}] }}"#
        )
    };
    let (m, n) = (of("c", "from-n", "from-m"), of("d", "other", "from-n"));
    let found = found(&modules, &[("m", &m), ("n", &n)], |_| {
        facts(Role::Handler).map(|facts| Facts { imports: vec![], ..facts })
    });
    assert_eq!(found, ["cases/n.json:1 warning unemitted-type", "4 note circle"]);
}
