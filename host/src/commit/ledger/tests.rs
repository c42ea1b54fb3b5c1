//! What stands in the ledger of a real server.

use pelton_tests::Server;
use time::Duration;
use tokio::sync::watch;

use super::*;
use crate::commit::app_stream;
use crate::commit::record::tests::record;

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_was_stored_and_not_answered_is_in_the_audit_once() {
    let server = Server::start().await.unwrap();
    let (context, subjects) =
        (async_nats::jetstream::new(server.client().await.unwrap()), Subjects::new(&"shop".parse().unwrap()));
    let reader = app_stream::create(&context, &subjects, 1).await.unwrap();
    let (_, denied) = watch::channel(String::new());
    let publisher = Publisher::new(server.client().await.unwrap(), denied);
    let ledger = Ledger::new(subjects.clone(), reader.clone(), publisher);
    let module = record().module;
    ledger.deploy(&record(), None, None).await.unwrap();

    let act = |plugin: &str| Act::Swap {
        module: module.clone(),
        was: "sha256:1".to_owned(),
        plugin: plugin.to_owned(),
        outcome: None,
    };
    let now = OffsetDateTime::now_utc();
    let swap = async |plugin: &str, entry: &Entry| ledger.swap(&module, plugin.to_owned(), entry).await.unwrap();
    let first = Entry::new("me@here", act("sha256:2"), now);
    let noted = swap("sha256:2", &first).await;
    assert_eq!(swap("sha256:2", &first).await, noted, "what whoever got no answer does");
    let audit =
        async || context.get_stream(subjects.stream()).await.unwrap().info_with_subjects(subjects.audit()).await;
    let entries: Vec<_> = audit().await.unwrap().try_collect().await.unwrap();
    assert_eq!(entries, [(subjects.audit(), 1)]);

    // The same act at another time is another one.
    let second = Entry::new("me@here", act("sha256:2"), now + Duration::seconds(1));
    let again = swap("sha256:2", &second).await;
    assert_eq!(again, Sequence(noted.0 + 2));
    assert_eq!(ledger.record(&module).await.unwrap().unwrap().value.edition.plugin, "sha256:2");
}
