//! `pelton config schema`: the JSON Schema of the config file, for editors.

use super::output::{Format, write};

/// The schema as it is kept, beside the parser.
const SCHEMA: &str = include_str!("../config/schema.json");

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Print the JSON Schema of the config file
    #[command(after_help = "\
Example, for editors with Taplo (in VS Code: Even Better TOML), as the first line of pelton.toml:
  pelton config schema > pelton.schema.json
  #:schema ./pelton.schema.json")]
    Schema {
        /// How to print: it is JSON in any case
        #[arg(short, long, default_value = "json")]
        output: Format,
    },
}

impl Verb {
    pub fn main(self) -> anyhow::Result<()> {
        match self {
            Self::Schema { output: Format::Text | Format::Json } => write(SCHEMA),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::config;

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).unwrap()
    }

    /// What the parser says that a table may hold, when it is given something else.
    fn parsed(with_unknown: &str) -> BTreeSet<String> {
        let error = config::parse(with_unknown, Path::new("pelton.toml")).unwrap_err().to_string();
        let (_, expected) = error.split_once("expected").unwrap_or_else(|| panic!("{with_unknown}: {error}"));
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn in_module(key: &str) -> String {
        format!("app = \"a\"\n[modules.m]\nplugin = \"p\"\ninput = {{ stream = \"S\" }}\n{key}")
    }

    #[test]
    fn the_schema_has_every_key_that_the_parser_takes_and_no_other() {
        for (place, with_unknown) in [
            ("", "x = 1".to_owned()),
            ("/$defs/nats", "app = \"a\"\nnats = { x = 1 }".to_owned()),
            ("/$defs/nats-tls", "app = \"a\"\nnats = { tls = { x = 1 } }".to_owned()),
            ("/$defs/stream", "app = \"a\"\nstream = { x = 1 }".to_owned()),
            ("/$defs/hosts", "app = \"a\"\nhosts = { x = 1 }".to_owned()),
            ("/$defs/input-stream", "app = \"a\"\n[streams.S]\nx = 1".to_owned()),
            ("/$defs/http", "app = \"a\"\nhttp = { x = 1 }".to_owned()),
            ("/$defs/traces", "app = \"a\"\ntraces = { x = 1 }".to_owned()),
            ("/$defs/http/properties/tls", "app = \"a\"\nhttp = { tls = { x = 1 } }".to_owned()),
            ("/$defs/module", in_module("x = 1")),
            ("/$defs/input", "app = \"a\"\n[modules.m]\nplugin = \"p\"\ninput = { x = 1 }".to_owned()),
            ("/$defs/key/oneOf/1", in_module("key = { x = 1 }")),
            ("/$defs/breaker", in_module("breaker = { x = 1 }")),
            ("/$defs/dedupe", in_module("dedupe = { x = 1 }")),
            ("/$defs/limits", in_module("limits = { x = 1 }")),
        ] {
            let properties = schema().pointer(&format!("{place}/properties")).unwrap().as_object().unwrap().clone();
            assert_eq!(properties.keys().cloned().collect::<BTreeSet<_>>(), parsed(&with_unknown), "{place}");
        }
    }

    /// The values of keys with a range, and their neighbours outside.
    #[test]
    fn numbers_that_the_schema_allows_are_those_that_the_parser_takes() {
        for (table, keys) in [("module", vec!["lanes", "attempts"]), ("limits", vec![]), ("breaker", vec!["failures"])]
        {
            let properties = schema()["$defs"][table]["properties"].as_object().unwrap().clone();
            let ranges = properties.iter().filter_map(|(key, property)| {
                Some((key.clone(), property.get("minimum")?.as_i64()?, property.get("maximum")?.as_i64()?))
            });
            let ranges: Vec<_> = ranges.collect();
            assert!(keys.iter().all(|key| ranges.iter().any(|(found, ..)| found == key)), "{table}");
            for (key, least, most) in ranges {
                for (number, fits) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                    let line = if table == "module" {
                        format!("{key} = {number}")
                    } else {
                        format!("{table} = {{ {key} = {number} }}")
                    };
                    let parsed = config::parse(&in_module(&line), Path::new("pelton.toml"));
                    assert_eq!(parsed.is_ok(), fits, "{line}");
                }
            }
        }
    }
}
