use super::*;
use crate::config;

fn parsed(traces: &str) -> Result<Traces, String> {
    let text = format!("app = \"shop\"\n{traces}");
    config::parse(&text, Path::new("pelton.toml")).map(|config| config.traces).map_err(|error| error.to_string())
}

/// What an empty table means in an environment with these variables.
fn in_environment(set: &[(&str, &str)]) -> Result<Traces, String> {
    with(TracesTable::default(), set)
}

fn with(table: TracesTable, set: &[(&str, &str)]) -> Result<Traces, String> {
    let environment = |name: &str| set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
    meant(table, Path::new(""), "shop", environment).map_err(|finding| finding.message)
}

fn endpoint(traces: Traces) -> Option<String> {
    traces.export.map(|export| export.endpoint.to_string())
}

#[test]
fn an_endpoint_without_a_path_gets_the_usual_one() {
    for (written, shown, to) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces", ("127.0.0.1", 4318, "/v1/traces", false)),
        ("http://[::1]:4318/", "http://[::1]:4318/v1/traces", ("::1", 4318, "/v1/traces", false)),
        ("https://otel.example", "https://otel.example/v1/traces", ("otel.example", 443, "/v1/traces", true)),
        ("http://c/in?key=1", "http://c/in", ("c", 80, "/in?key=1", false)),
    ] {
        let export = parsed(&format!("[traces]\nendpoint = \"{written}\"")).unwrap().export.unwrap();
        let found =
            (export.endpoint.host(), export.endpoint.port(), export.endpoint.path(), export.endpoint.is_secure());
        assert_eq!((export.endpoint.to_string().as_str(), found), (shown, to));
    }
}

#[test]
fn what_cannot_be_exported_to_is_shown_in_its_place() {
    for (written, expected) in [
        ("endpoint = \"collector:4318\"", "pelton.toml:3:12: \"collector:4318\" is no endpoint"),
        ("endpoint = \"grpc://c:4317\"", "pelton.toml:3:12: \"grpc://c:4317\" is no endpoint"),
        ("endpoint = \"\"", ":3:12: \"\" is no endpoint"),
        ("endpoint = \"http://c:0\"", ":3:12: \"http://c:0\" is no endpoint"),
        ("endpoint = \"http://u:hidden@c\"", ":3:12: a password in an endpoint"),
        ("ratio = 1.5", ":3:9: ratio goes from 0 to 1"),
        ("ratio = -1", ":3:9: ratio goes from 0 to 1"),
        ("headers = { a = { env = \"A\" } }", ":3:17: headers go with the endpoint"),
        ("endpoint = \"http://c\"\nheaders = { \"a b\" = { env = \"A\" } }", ":4:21: \"a b\" is no name of a header"),
        ("endpoint = \"http://c\"\nheaders = { a = \"hidden\" }", ":4:17: invalid type"),
    ] {
        let error = parsed(&format!("[traces]\n{written}")).unwrap_err();
        assert!(error.contains(expected), "{written}: {error}");
        assert!(!expected.contains("password") || !error.contains("hidden"), "{error}");
    }
}

#[test]
fn the_standard_variables_count_where_the_config_says_nothing() {
    for (set, expected) in [
        (&[][..], None),
        (&[(ENDPOINT, "")], None),
        (&[(ENDPOINT, "http://c:4318")], Some("http://c:4318/v1/traces")),
        (&[(ENDPOINT, "http://c:4318/otlp/")], Some("http://c:4318/otlp/v1/traces")),
        (&[(TRACES_ENDPOINT, "http://c/in")], Some("http://c/in")),
        (&[(TRACES_ENDPOINT, "http://c/in"), (ENDPOINT, "http://d")], Some("http://c/in")),
    ] {
        assert_eq!(endpoint(in_environment(set).unwrap()).as_deref(), expected, "{set:?}");
    }
    let wrong = in_environment(&[(ENDPOINT, "nowhere")]).unwrap_err();
    assert!(wrong.contains("OTEL_EXPORTER_OTLP_ENDPOINT: \"nowhere"), "{wrong}");
    assert_eq!(in_environment(&[(RATIO, "0.5")]).unwrap().ratio, Ratio::new(0.5).unwrap());
    assert!(in_environment(&[(RATIO, "some")]).unwrap_err().contains("OTEL_TRACES_SAMPLER_ARG goes from 0 to 1"));
    assert_eq!(in_environment(&[]).unwrap().ratio, Ratio::default());
}

#[test]
fn headers_of_the_environment_are_secrets_and_go_to_no_other_collector() {
    let set = [(ENDPOINT, "http://c"), (HEADERS, "authorization=Bearer%20hidden, x-team = a ")];
    let export = in_environment(&set).unwrap().export.unwrap();
    assert!(!format!("{export:?}").contains("hidden"), "{export:?}");
    let said: Vec<_> = export.headers.iter().map(|(name, secret)| (name.as_str(), secret.read().unwrap())).collect();
    assert_eq!(said, [("authorization", "Bearer hidden".to_owned()), ("x-team", "a".to_owned())]);
    let table = toml::from_str::<TracesTable>("endpoint = \"http://other\"").unwrap();
    assert_eq!(with(table, &set).unwrap().export.unwrap().headers, []);
}

#[test]
fn who_tells_is_the_app_unless_the_variables_say_otherwise() {
    let resource = |set: &[(&str, &str)]| {
        let all = [&[(ENDPOINT, "http://c")], set].concat();
        in_environment(&all).unwrap().export.unwrap().resource
    };
    let named = |resource: Vec<(String, String)>, name: &str| {
        resource.into_iter().find(|(of, _)| of == name).map(|(_, value)| value)
    };
    assert_eq!(named(resource(&[]), "service.name").as_deref(), Some("pelton-shop"));
    let set = [(RESOURCE, "service.name=a,deployment.environment.name=test%201")];
    assert_eq!(named(resource(&set), "service.name").as_deref(), Some("a"));
    assert_eq!(named(resource(&set), "deployment.environment.name").as_deref(), Some("test 1"));
    assert_eq!(named(resource(&[set[0], (SERVICE, "b")]), "service.name").as_deref(), Some("b"));
}
