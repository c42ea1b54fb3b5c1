//! Who owns a view that several records name. Pure.

use std::collections::BTreeMap;

use crate::commit::checkpoint::Stored;
use crate::commit::record::Record;
use crate::event::Sequence;
use crate::subject::Name;

/// The records without the views that are another module's by now. A view that moved to another module still stands in
/// the record of the one before. It is that one's whose record was written last, as it is whenever a host takes its lanes.
pub fn owned(records: Vec<Stored<Record>>) -> Vec<Record> {
    let mut owners: BTreeMap<Name, Sequence> = BTreeMap::new();
    for Stored { value, revision } in &records {
        for view in &value.views {
            let last = owners.entry(view.clone()).or_default();
            *last = (*last).max(*revision);
        }
    }
    let of_owner = |Stored { mut value, revision }: Stored<Record>| {
        value.views.retain(|view| owners.get(view) == Some(&revision));
        value
    };
    records.into_iter().map(of_owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::record::State;
    use crate::ownership::Edition;
    use crate::route::{HASH_VERSION, KeyExpr};
    use crate::subject::Generation;

    #[test]
    fn a_view_that_moved_is_of_the_module_whose_record_was_written_last() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let record = |module: &str, views: &[&str], revision: u64| Stored {
            value: Record {
                format: 1,
                module: name(module),
                stream: "IN".to_owned(),
                filters: Vec::new(),
                key: KeyExpr::Subject,
                hash: HASH_VERSION,
                lanes: 1,
                scaled: Vec::new(),
                views: views.iter().map(|view| name(view)).collect(),
                edition: Edition { plugin: "sha256:1".to_owned(), settings: String::new() },
                generation: Generation::default(),
                state: State::Running,
            },
            revision: Sequence(revision),
        };
        let found = owned(vec![record("a", &["moved", "own"], 3), record("b", &["moved"], 9), record("c", &["x"], 1)]);
        let views: Vec<_> = found.iter().map(|record| record.views.as_slice()).collect();
        assert_eq!(views, [&[name("own")][..], &[name("moved")], &[name("x")]]);
    }
}
