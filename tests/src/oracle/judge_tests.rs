//! The oracle finds what is wrong, and by its name; what is right it lets pass.

use async_nats::HeaderMap;

use super::*;

/// An app that did what it should: key `a` has the inputs 1, 2, 4, and 3 that was rejected at first and replayed in the end.
/// Key `b` has the input 5, which waits for what never comes.
fn right() -> Found {
    let later = chain::later(3, "x");
    let payloads = [("a", "one"), ("a", "two"), ("a", &*later), ("a", "four"), ("b", "later 99 x")];
    let input = |(index, (key, payload)): (usize, &(&str, &str))| Stored {
        sequence: index as u64 + 1,
        subject: format!("in.{key}"),
        payload: (*payload).to_owned().into(),
        ..Stored::default()
    };
    let inputs: Vec<Stored> = payloads.iter().enumerate().map(input).collect();
    let mut found = Found { inputs, created: "then".into(), ..Found::default() };
    found.letters.insert(("oracle".into(), 5));
    do_in_order(&mut found, &[1, 2, 4, 3]);
    found
}

/// Has these inputs done one after the other, whether that is right or not.
fn do_in_order(found: &mut Found, order: &[u64]) {
    let mut link = Link::default();
    for sequence in order {
        let input = &found.inputs[*sequence as usize - 1];
        link = link.next(*sequence, &input.payload);
        let kinds: &[&str] = if sequence.is_multiple_of(2) { &["step", "echo"] } else { &["step"] };
        for (index, kind) in kinds.iter().enumerate() {
            let id = format!("pelton/demo/oracle/IN/then/{sequence}/{index}");
            let mut headers = HeaderMap::new();
            headers.insert("ce-id", &*Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string());
            headers.insert("ce-type", *kind);
            headers.insert("Pelton-Input", &*format!("IN:{sequence}"));
            let place = found.events.len() as u64 + 100;
            found.events.push(Stored {
                sequence: place,
                subject: "pelton.demo.events.steps.a".into(),
                headers,
                payload: serde_json::to_vec(&link).unwrap().into(),
                ..Stored::default()
            });
        }
    }
    found.chain = BTreeMap::from([("a".to_owned(), link)]);
    found.fold = folded(&found.events);
}

/// What the oracle says of an app that did right, but for this.
fn but(change: impl FnOnce(&mut Found)) -> String {
    let mut found = right();
    change(&mut found);
    judge(&found).expect_err("that is wrong").join("\n")
}

/// The same, with one more dead letter.
fn but_letter(module: &str, input: u64) -> String {
    but(|found| assert!(found.letters.insert((module.to_owned(), input))))
}

/// The same, where the inputs were done in this order.
fn done(order: &[u64]) -> String {
    but(|found| {
        found.events.clear();
        do_in_order(found, order);
    })
}

#[test]
fn what_is_right_passes_and_is_counted() {
    assert_eq!(judge(&right()), Ok(Seen { inputs: 5, events: 6, replayed: 1, letters: 1 }));
}

#[test]
fn an_input_without_effects_is_found() {
    assert!(done(&[1, 2, 3]).contains("I1: input 4 of a has neither"));
    assert!(but(|found| found.letters.clear()).contains("I1: input 5 of b has neither"));
    let told = but(|found| drop(found.events.remove(2)));
    assert!(told.contains("I1: input 2 of a has but 1 of its events"), "{told}");
}

#[test]
fn effects_twice_are_found() {
    assert!(done(&[1, 2, 2, 4, 3]).contains("I2: input 2 of a has effects twice"));
    assert!(but_letter("oracle", 4).contains("I2: input 4 has effects and a dead"));
    let told = but(|found| {
        let again = found.events[0].clone();
        found.events.push(again);
    });
    assert!(told.contains("I2: input 1 of a has effects twice"), "{told}");
}

#[test]
fn another_order_than_the_inputs_is_found() {
    assert!(done(&[2, 1, 4, 3]).contains("I3: key a did input 2 where Some(1) was next"));
    assert!(done(&[1, 3, 2, 4]).contains("I3: key a did input 3 before Some(2)"));
    assert!(done(&[1, 2, 3, 4]).contains("I3: key a did input 3 as its 3, which needs 3 before"));
    let told = but(|found| found.events.swap(1, 2));
    assert!(told.contains("I2: event 102 of input 2 of a has another id"), "{told}");
}

#[test]
fn a_view_that_is_no_fold_is_found() {
    assert!(but(|found| found.chain.clear()).contains("I3: the view chain has None under a"));
    let told = but(|found| found.fold.extend([("z".to_owned(), Link::default())]));
    assert!(told.contains("I3: the view fold has Some"), "{told}");
}

#[test]
fn a_dead_letter_that_nobody_asked_for_is_found() {
    let told = but(|found| {
        found.events.clear();
        do_in_order(found, &[1, 2, 3]);
        found.letters.insert(("oracle".into(), 4));
    });
    assert!(told.contains("I1: input 4 of a is a dead letter and should have effects"), "{told}");
    assert!(but_letter("fold", 9).contains("I1: fold has a dead letter for 9"));
    assert!(but_letter("oracle", 9).contains("I1: a dead letter for 9"));
}
