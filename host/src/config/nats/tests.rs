use std::collections::BTreeMap;
use std::fs;

use super::*;

/// A user's home with two contexts.
struct User {
    home: tempfile::TempDir,
    environment: BTreeMap<&'static str, String>,
}

impl User {
    fn new(environment: &[(&'static str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let contexts = home.path().join(".config/nats/context");
        fs::create_dir_all(&contexts).unwrap();
        let lab = r#"{"url":"nats://lab:1","user":"u","password":"hidden","ca":"~/ca.pem","jetstream_domain":"hub","color_scheme":"x"}"#;
        fs::write(contexts.join("lab.json"), lab).unwrap();
        fs::write(contexts.join("tool.json"), r#"{"url":"nats://tool:1","nsc":"nsc://a/b/c"}"#).unwrap();
        fs::write(contexts.join("bad.json"), r#"{"password": hidden}"#).unwrap();
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { home, environment }
    }

    fn meant(&self, table: &str) -> Result<Nats, String> {
        let table: NatsTable = toml::from_str(table).map_err(|error| error.message().to_owned())?;
        let get = |name: &str| match name {
            "HOME" => Some(self.home.path().display().to_string()),
            name => self.environment.get(name).cloned(),
        };
        meant(table, Path::new("conf"), get).map_err(|finding| finding.message)
    }
}

fn auth(environment: &[(&'static str, &str)], table: &str) -> Auth {
    User::new(environment).meant(table).unwrap().auth
}

#[test]
fn who_connects_is_said_by_the_config_or_else_by_the_environment() {
    let secret = |text: &str| Secret::here(text.to_owned());
    let creds = |path: &str| Auth::Creds(path.into());
    assert_eq!(auth(&[], ""), Auth::None);
    assert_eq!(auth(&[("NATS_CREDS", "/b")], "creds = \"a\""), creds("conf/a"));
    assert_eq!(auth(&[("NATS_CREDS", "/b"), ("NATS_USER", "u")], ""), creds("/b"));
    assert_eq!(auth(&[("NATS_NKEY", "/b")], "nkey = \"a\""), Auth::Nkey("conf/a".into()));
    assert_eq!(auth(&[("NATS_NKEY", "~/seed")], "").path_ends_with("seed"), Some(true));
    assert_eq!(auth(&[("NATS_USER", "u"), ("NATS_PASSWORD", "p")], ""), Auth::User("u".to_owned(), secret("p")));
    assert_eq!(auth(&[("NATS_USER", "t")], ""), Auth::Token(secret("t")), "as the nats tool has it");
    assert!(matches!(auth(&[], "user = \"u\"\npassword = { env = \"P\" }"), Auth::User(..)));
    assert!(matches!(auth(&[("NATS_USER", "u")], "token = { file = \"t\" }"), Auth::Token(..)));
}

impl Auth {
    fn path_ends_with(self, end: &str) -> Option<bool> {
        match self {
            Self::Nkey(path) | Self::Creds(path) => Some(path.is_absolute() && path.ends_with(end)),
            Self::None | Self::User(..) | Self::Token(_) => None,
        }
    }
}

#[test]
fn a_context_fills_in_what_is_not_said() {
    let user = User::new(&[]);
    let lab = user.meant("context = \"lab\"").unwrap();
    assert_eq!((lab.servers.clone(), lab.api_prefix.as_str()), (vec!["nats://lab:1".to_owned()], "$JS.hub.API"));
    assert_eq!(lab.tls.clone().and_then(|tls| tls.ca), Some(user.home.path().join("ca.pem")));
    assert!(matches!(&lab.auth, Auth::User(name, _) if name == "u"));
    assert!(!format!("{lab:?}").contains("hidden"), "{lab:?}");
    let other = user.meant("context = \"lab\"\nurl = \"nats://a:1, nats://b:2\"\ncreds = \"c\"").unwrap();
    assert_eq!(other.servers, ["nats://a:1", "nats://b:2"]);
    assert_eq!(other.auth, Auth::Creds("conf/c".into()));
    let by_environment = User::new(&[("NATS_CONTEXT", "lab")]).meant("").unwrap();
    assert_eq!((by_environment.servers, by_environment.auth), (lab.servers, lab.auth));
}

#[test]
fn the_selected_context_counts_only_where_no_server_is_named() {
    let user = User::new(&[]);
    assert_eq!(user.meant("").unwrap().servers, [DEFAULT]);
    fs::write(user.home.path().join(".config/nats/context.txt"), "lab\n").unwrap();
    let selected = user.meant("").unwrap();
    assert_eq!((selected.servers.as_slice(), selected.is_named), (["nats://lab:1".to_owned()].as_slice(), false));
    let named = user.meant("url = \"nats://a:1\"").unwrap();
    assert_eq!((named.servers, named.auth, named.tls), (vec!["nats://a:1".to_owned()], Auth::None, None));
}

#[test]
fn what_does_not_fit_is_named_and_no_secret_is_shown() {
    let user = User::new(&[]);
    for (table, expected) in [
        ("url = \"nats://u:hidden@a:1\"", "can be seen by all"),
        ("user = \"u\"", "user and password"),
        ("user = \"u\"\npassword = { env = \"P\" }\ncreds = \"c\"", "user and password"),
        ("password = \"hidden\"", "invalid type"),
        ("token = { env = \"A\", file = \"b\" }", "{ env"),
        ("tls = { cert = \"c\" }", "cert and key"),
        ("domain = \"a\"\napi_prefix = \"b\"", "give one"),
        ("domain = \"a.b\"", "one word"),
        ("context = \"none\"", "nats context ls"),
        ("context = \"../lab\"", "no name of a context"),
        ("context = \"tool\"", "uses nsc"),
        ("context = \"bad\"", "damaged at line 1"),
    ] {
        let error = user.meant(table).unwrap_err();
        assert!(error.contains(expected), "{table}: {error}");
        assert!(!error.contains("hidden") || table.contains("password = \"hidden"), "{table}: {error}");
    }
}

#[test]
fn an_address_is_shown_without_its_password() {
    let user = User::new(&[("NATS_URL", "nats://u:hidden@a:1,b:2")]);
    assert_eq!(user.meant("").unwrap().shown(), "nats://a:1,b:2");
}
