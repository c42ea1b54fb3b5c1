//! Ways to reach a server: users, tokens, seeds, credentials, certificates, domains, contexts.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use async_nats::{ConnectOptions, jetstream};
use pelton_tests::{Host, SOON, Server, binary, eventually, plugins};
use tempfile::TempDir;

use crate::jwt::Operator;

/// A server with a config of its own, and an app on it.
struct Reached {
    server: Server,
    folder: TempDir,
}

impl Reached {
    /// `{folder}` in the config is the app's folder.
    async fn start(folder: TempDir, config: &str) -> Result<Self> {
        let config = config.replace("{folder}", &folder.path().display().to_string());
        let server = Server::start_with(&folder.path().join("store"), &config, &[]).await?;
        Ok(Self { server, folder })
    }

    /// Writes the app's config; `nats` is its table.
    fn configure(&self, nats: &str) -> Result<()> {
        let plugin = plugins()?.join("probe.wasm");
        let nats = nats.replace("{port}", &self.server.port().to_string());
        let config = format!(
            "app = \"demo\"\nhttp = {{ listen = \"off\" }}\n[nats]\n{nats}\n[modules.probe]\nplugin = {plugin:?}\ninput = {{ stream = \"IN\" }}\n\
             key = {{ token = 2 }}\nviews = [\"v\"]\n"
        );
        Ok(fs::write(self.folder.path().join("pelton.toml"), config)?)
    }

    /// What a verb that needs the server ends with, and says.
    fn tried(&self, environment: &[(&str, &str)]) -> Result<(i32, String)> {
        let mut command = Command::new(binary("pelton")?);
        command.args(["module", "ls", "-c"]).arg(self.folder.path().join("pelton.toml"));
        let output = command.env("HOME", self.folder.path()).envs(environment.iter().copied()).output()?;
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Runs a host until an input has had its effect, with a stock client for the rest.
    async fn works(&self, client: jetstream::Context) -> Result<()> {
        let input =
            jetstream::stream::Config { name: "IN".into(), subjects: vec!["in.>".into()], ..Default::default() };
        client.create_stream(input).await?;
        let host = Host::start(&self.folder.path().join("pelton.toml"), &self.folder.path().join("pelton.log"))?;
        client.publish("in.a", r#"[{"write":{"key":"a","value":"1"}}]"#.into()).await?.await?;
        let value = eventually("the value", SOON, async || {
            let Ok(bucket) = client.get_key_value("demo").await else { return Ok(None) };
            Ok(bucket.get("v.1.a").await?)
        });
        let value = value.await.with_context(|| host.log().unwrap_or_default().join("\n"))?;
        assert_eq!(&value[..], b"1");
        Ok(())
    }
}

/// Connected, but nothing has run there.
const REACHED: &str = "no stream yet";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_let_in_with_a_password_from_a_file_or_the_environment_and_it_is_never_shown() -> Result<()> {
    let app = Reached::start(tempfile::tempdir()?, "authorization { user: \"u\", password: \"s3cret\" }").await?;
    let table = "url = \"nats://127.0.0.1:{port}\"\nuser = \"u\"\n";
    app.configure(&format!("{table}password = {{ env = \"THE_PASSWORD\" }}"))?;
    for (password, code, said) in [("s3cret", 1, REACHED), ("wr0ng", 69, "authorization violation")] {
        let (ended, all) = app.tried(&[("THE_PASSWORD", password), ("PELTON_LOG", "trace")])?;
        assert!(ended == code && all.contains(said), "{password}: {ended} {all}");
        assert!(!all.contains("error: ") || !all.contains(password), "{all}");
    }
    let (code, said) = app.tried(&[])?;
    assert!(code == 69 && said.contains("THE_PASSWORD is not set"), "{code} {said}");

    let folder = app.folder.path();
    app.configure("")?;
    let url = app.server.url();
    let (code, said) = app.tried(&[("NATS_URL", &url), ("NATS_USER", "u"), ("NATS_PASSWORD", "s3cret")])?;
    assert!(code == 1 && said.contains(REACHED), "{code} {said}");
    let contexts = folder.join(".config/nats/context");
    fs::create_dir_all(&contexts)?;
    fs::write(contexts.join("lab.json"), format!(r#"{{"url":"{url}","user":"u","password":"s3cret"}}"#))?;
    let (code, said) = app.tried(&[("NATS_CONTEXT", "lab")])?;
    assert!(code == 1 && said.contains(REACHED), "{code} {said}");
    fs::write(folder.join(".config/nats/context.txt"), "lab")?;
    assert!(app.tried(&[])?.1.contains(REACHED));

    app.configure(&format!("{table}password = {{ file = \"secret\" }}"))?;
    fs::write(folder.join("secret"), "s3cret\n")?;
    let client = ConnectOptions::with_user_and_password("u".into(), "s3cret".into()).connect(&url).await?;
    app.works(jetstream::new(client)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_signs_in() -> Result<()> {
    let (pair, stranger) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", pair.public_key());
    let app = Reached::start(tempfile::tempdir()?, &config).await?;
    app.configure("url = \"nats://127.0.0.1:{port}\"\nnkey = \"seed\"")?;
    let file = app.folder.path().join("seed");
    for (content, code, said) in [
        (stranger.seed()?, 69, "authorization violation"),
        ("nothing".to_owned(), 69, "holds no seed"),
        (format!("a comment\n{}\n", pair.seed()?), 1, REACHED),
    ] {
        fs::write(&file, &content)?;
        let (ended, all) = app.tried(&[])?;
        assert!(ended == code && all.contains(said), "{ended} {all}");
    }
    let client = ConnectOptions::with_nkey(pair.seed()?).connect(app.server.url()).await?;
    app.works(jetstream::new(client)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_let_in() -> Result<()> {
    let app = Reached::start(tempfile::tempdir()?, "authorization { token: \"s3cret\" }").await?;
    app.configure("url = \"nats://127.0.0.1:{port}\"")?;
    for (variable, code) in [("NATS_TOKEN", 1), ("NATS_USER", 1), ("NATS_PASSWORD", 69)] {
        assert_eq!(app.tried(&[(variable, "s3cret")])?.0, code, "{variable}");
    }
    app.configure("url = \"nats://127.0.0.1:{port}\"\ntoken = { file = \"token\" }")?;
    for (token, code, said) in [("wr0ng", 69, "authorization violation"), ("s3cret\n", 1, REACHED)] {
        fs::write(app.folder.path().join("token"), token)?;
        let (ended, all) = app.tried(&[])?;
        assert!(ended == code && all.contains(said), "{ended} {all}");
    }
    let client = ConnectOptions::with_token("s3cret".into()).connect(app.server.url()).await?;
    app.works(jetstream::new(client)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_sign_in_where_an_operator_is_trusted() -> Result<()> {
    let (operator, stranger) = (Operator::new(), Operator::new());
    let app = Reached::start(tempfile::tempdir()?, &operator.config()?).await?;
    app.configure("url = \"nats://127.0.0.1:{port}\"\ncreds = \"user.creds\"")?;
    let file = app.folder.path().join("user.creds");
    for (content, code, said) in
        [(stranger.credentials()?, 69, "authorization violation"), (operator.credentials()?, 1, REACHED)]
    {
        fs::write(&file, &content)?;
        let (ended, all) = app.tried(&[])?;
        assert!(ended == code && all.contains(said), "{ended} {all}");
    }
    let client = ConnectOptions::with_credentials_file(&file).await?.connect(app.server.url()).await?;
    app.works(jetstream::new(client)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_that_cannot_be_used_is_named() -> Result<()> {
    let operator = Operator::new();
    let app = Reached::start(tempfile::tempdir()?, &operator.config()?).await?;
    app.configure("url = \"nats://127.0.0.1:{port}\"\ncreds = \"user.creds\"")?;
    let file = app.folder.path().join("user.creds");
    let named = format!("cannot use the credentials in {}", file.display());
    let whole = operator.credentials()?;
    let (jwt, seed) = whole.split_once("\n\n").context("two parts")?;
    for content in [None, Some(""), Some("nothing"), Some(jwt), Some(seed), Some(&whole.replace("\nSU", "\nSX"))] {
        if let Some(content) = content {
            fs::write(&file, content)?;
        }
        let (code, said) = app.tried(&[])?;
        assert!(code == 69 && said.contains(&named), "{content:?}: {code} {said}");
    }
    Ok(())
}

/// A folder with an authority's certificate, and certificates and keys of a server and a client.
fn certified() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    write("ca.pem", &authority.self_signed(&authority_key)?.pem())?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    for name in ["server", "client"] {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        write(&format!("{name}.pem"), &certificate.signed_by(&key, &issuer)?.pem())?;
        write(&format!("{name}.key"), &key.serialize_pem())?;
    }
    Ok(folder)
}

/// The table `tls` of a server in such a folder, with `more` in it.
fn server_tls(more: &str) -> String {
    format!(
        "tls {{ cert_file: \"{{folder}}/server.pem\", key_file: \"{{folder}}/server.key\", \
         ca_file: \"{{folder}}/ca.pem\", {more} }}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_show_certificates() -> Result<()> {
    let app = Reached::start(certified()?, &server_tls("verify: true")).await?;
    let url = "url = \"tls://localhost:{port}\"\n";
    app.configure(&format!("{url}tls = {{ ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }}"))?;
    let (code, said) = app.tried(&[])?;
    assert!(code == 1 && said.contains(REACHED), "{code} {said}");
    for other in ["tls = { ca = \"ca.pem\" }", ""] {
        app.configure(&format!("{url}{other}"))?;
        assert_eq!(app.tried(&[])?.0, 69, "{other}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_tls_before_anything_else_is_worked_with() -> Result<()> {
    let app = Reached::start(certified()?, &server_tls("handshake_first: true")).await?;
    let url = "url = \"tls://localhost:{port}\"\n";
    // A client that waits for the server's first words in the open waits for ever, or is told that it speaks no NATS.
    app.configure(&format!("{url}tls = {{ ca = \"ca.pem\" }}"))?;
    let (code, said) = app.tried(&[])?;
    assert!(code == 69 && said.contains("cannot connect"), "{code} {said}");
    app.configure(&format!("{url}tls = {{ ca = \"ca.pem\", first = true }}"))?;
    let (code, said) = app.tried(&[])?;
    assert!(code == 1 && said.contains(REACHED), "{code} {said}");
    let options = ConnectOptions::new().add_root_certificates(app.folder.path().join("ca.pem")).tls_first();
    let client = options.connect(format!("tls://localhost:{}", app.server.port())).await?;
    app.works(jetstream::new(client)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_is_found_in_its_domain() -> Result<()> {
    let app = Reached::start(tempfile::tempdir()?, "jetstream { domain: hub }").await?;
    app.configure("url = \"nats://127.0.0.1:{port}\"\ndomain = \"elsewhere\"")?;
    let (code, said) = app.tried(&[])?;
    assert!(code == 1 && !said.contains(REACHED), "{code} {said}");
    app.configure("url = \"nats://127.0.0.1:{port}\"\ndomain = \"hub\"")?;
    app.works(jetstream::with_domain(async_nats::connect(app.server.url()).await?, "hub")).await
}
