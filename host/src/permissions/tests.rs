use std::path::Path;

use super::*;
use crate::config::parse;
use crate::route::Filter;

fn of(text: &str, inputs: &[&str]) -> Result<Permissions, String> {
    let config = parse(text, Path::new("pelton.toml")).unwrap();
    let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
    permissions(&config, &inputs).map_err(|error| error.to_string())
}

const SHOP: &str = "app = \"web-shop\"\n[modules.totals]\nplugin = \"a.wasm\"\n\
     input = { stream = \"ORDERS\", filter = \"orders.>\" }\nemits = [\"alerts\"]\n\
     [modules.alarm]\nplugin = \"a.wasm\"\ninput = { events = \"alerts\" }\n";

fn user(permissions: &Permissions, role: Role) -> &User {
    permissions.users.iter().find(|user| user.role == role).unwrap()
}

#[test]
fn nobody_but_the_host_may_publish_what_the_app_stream_stores_or_is_in_its_account() {
    let permissions = of(SHOP, &[]).unwrap();
    let own: Vec<Filter> =
        Subjects::new(&"web-shop".parse().unwrap()).all().map(|subject| Filter::try_from(subject).unwrap()).into();
    for user in &permissions.users {
        let publishes =
            |subject: &String| own.iter().any(|own| own.overlaps(&Filter::try_from(subject.clone()).unwrap()));
        assert_eq!(user.publish.iter().any(publishes), user.role == Role::Host, "{user:?}");
        assert_eq!(user.account == "WEB_SHOP", user.role == Role::Host, "{user:?}");
        assert_eq!(user.responds, user.role == Role::Host);
    }
    assert_eq!(user(&permissions, Role::Producer).publish, ["orders.>"]);
    let reader = user(&permissions, Role::Reader);
    let asks = |subject: &String| subject.starts_with("$JS.web-shop.API.") || subject == "pelton-query.web-shop.>";
    assert!(reader.publish.iter().all(asks), "{reader:?}");
    let config = permissions.server_config();
    let import = "{ service: { account: WEB_SHOP, subject: \"$JS.API.STREAM.INFO.KV_web-shop\" }, \
                  to: \"$JS.web-shop.API.STREAM.INFO.KV_web-shop\" }";
    assert!(config.contains(import), "{config}");
    let makes_consumers = |subject: &&String| subject.contains("CONSUMER");
    assert_eq!(permissions.services.iter().find(makes_consumers), None, "a consumer delivers to any subject");
}

#[test]
fn inputs_that_no_filter_names_are_asked_for() {
    let whole = SHOP.replace(", filter = \"orders.>\"", "");
    let error = of(&whole, &[]).unwrap_err();
    assert!(error.contains("module \"totals\" takes the whole stream ORDERS") && error.contains("--input"), "{error}");
    let named = of(&whole, &["o.>", "p"]).unwrap();
    assert_eq!(user(&named, Role::Producer).publish, ["o.>", "p"]);
}

#[test]
fn a_domain_changes_what_the_host_asks() {
    let domain = of(&format!("{SHOP}[nats]\ndomain = \"hub\"\n"), &[]).unwrap();
    let host = user(&domain, Role::Host);
    assert!(host.publish.contains(&"$JS.hub.API.INFO".to_owned()), "{host:?}");
    assert!(!host.publish.iter().any(|subject| subject.starts_with("$JS.API")), "{host:?}");
}

#[test]
fn the_host_may_make_every_stream_that_is_declared_and_hears_answers_where_its_context_has_them_sent() {
    let declared = of(&format!("{SHOP}[streams.LATER]\nsubjects = [\"later.>\"]\n"), &[]).unwrap();
    let host = user(&declared, Role::Host);
    let of_later: Vec<_> = host.publish.iter().filter(|subject| subject.ends_with("LATER")).collect();
    assert_eq!(of_later, ["$JS.API.STREAM.INFO.LATER", "$JS.API.STREAM.CREATE.LATER", "$JS.API.STREAM.UPDATE.LATER"]);
    assert!(host.subscribe.contains(&"_INBOX.>".to_owned()), "{host:?}");

    let mut config = parse(SHOP, Path::new("pelton.toml")).unwrap();
    config.nats.inbox_prefix = Some("_INBOX_shop".to_owned());
    let host = permissions(&config, &[]).unwrap().users.remove(0);
    assert!(host.subscribe.contains(&"_INBOX_shop.>".to_owned()), "{host:?}");
    assert!(!host.subscribe.contains(&"_INBOX.>".to_owned()), "{host:?}");
}

#[test]
fn commands_keep_subjects_from_the_shell() {
    let nsc = of(SHOP, &[]).unwrap().nsc();
    assert!(nsc.contains("nsc add export --account WEB_SHOP --name app-4 --subject 'orders.>' --service"), "{nsc}");
    assert!(nsc.contains("--account WEB_SHOP_CLIENTS --name web-shop-producer --allow-pub 'orders.>'"), "{nsc}");
    let source = r#"--src-account "$(nsc describe account --name WEB_SHOP --field sub | tr -d '"')" --remote-subject"#;
    assert!(nsc.contains(source), "{nsc}");
    assert!(nsc.lines().all(|line| line.starts_with("nsc ")), "{nsc}");
}
