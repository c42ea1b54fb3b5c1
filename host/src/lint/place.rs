//! Where in a config file something stands. Pure.

use std::path::Path;

use toml::de::{DeTable, DeValue};

/// A config file that parses.
pub struct Source<'a> {
    /// Where it is.
    pub path: &'a Path,
    text: &'a str,
    table: Option<DeTable<'a>>,
}

impl<'a> Source<'a> {
    /// The file at `path` with the content `text`.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, table: DeTable::parse(text).ok().map(toml::Spanned::into_inner) }
    }

    /// The line of the key that this path of keys leads to, or of the last of them that is written.
    pub fn line(&self, keys: &[&str]) -> usize {
        let start = self.walk(keys).last().copied().unwrap_or(0);
        self.text.get(..start).unwrap_or_default().matches('\n').count() + 1
    }

    /// Whether the key that this path of keys leads to is written.
    pub fn has(&self, keys: &[&str]) -> bool {
        self.walk(keys).len() == keys.len()
    }

    /// Where each of the keys begins, as far as they are written.
    fn walk(&self, keys: &[&str]) -> Vec<usize> {
        let (mut table, mut starts) = (self.table.as_ref(), Vec::new());
        for name in keys {
            let Some((key, value)) = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name)) else {
                break;
            };
            starts.push(key.span().start);
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_tables_of_every_kind_and_else_the_table_around_it() {
        let text =
            "app = \"a\"\n\n[modules.m]\nplugin = \"p\"\ninput = { stream = \"S\" }\n[modules.m.limits]\nreads = 1\n";
        let source = Source::new(Path::new("pelton.toml"), text);
        for (keys, line, has) in [
            (&["app"][..], 1, true),
            (&["modules", "m", "plugin"], 4, true),
            (&["modules", "m", "input", "stream"], 5, true),
            (&["modules", "m", "limits", "reads"], 7, true),
            (&["modules", "m", "views"], 3, false),
            (&["modules", "other", "views"], 3, false),
            (&["nats"], 1, false),
        ] {
            assert_eq!((source.line(keys), source.has(keys)), (line, has), "{keys:?}");
        }
    }
}
