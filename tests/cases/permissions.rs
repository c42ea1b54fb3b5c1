//! A server with the very config that `pelton permissions` prints, and what its users can and cannot do.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use async_nats::{Client, ConnectOptions, jetstream};
use futures::StreamExt;
use pelton_tests::{Host, SOON, Server, binary, eventually, plugins};
use tempfile::TempDir;

/// An app on such a server.
struct Guarded {
    server: Server,
    folder: TempDir,
}

const PASSWORDS: [(&str, &str); 3] = [
    ("DEMO_HOST_PASSWORD", "pw-host"),
    ("DEMO_READER_PASSWORD", "pw-reader"),
    ("DEMO_PRODUCER_PASSWORD", "pw-producer"),
];

impl Guarded {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), "host", "nats://127.0.0.1:1")?;
        let printed = pelton(folder.path(), "host", &["permissions"])?;
        ensure!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let config = String::from_utf8(printed.stdout)?;
        let server = Server::start_with(&folder.path().join("store"), &config, &PASSWORDS).await?;
        for role in ["host", "reader", "producer"] {
            configure(folder.path(), role, &server.url())?;
        }
        Ok(Self { server, folder })
    }

    async fn client(&self, role: &str) -> Result<Client> {
        let options = ConnectOptions::with_user_and_password(format!("demo-{role}"), format!("pw-{role}"));
        Ok(options.connect(self.server.url()).await?)
    }

    fn pelton(&self, role: &str, arguments: &[&str]) -> Result<Output> {
        pelton(self.folder.path(), role, arguments)
    }
}

fn configure(folder: &Path, role: &str, url: &str) -> Result<()> {
    fs::write(folder.join(format!("{role}.password")), format!("pw-{role}\n"))?;
    let plugin = plugins()?.join("probe.wasm");
    let domain = if role == "reader" { "domain = \"demo\"\n" } else { "" };
    let config = format!(
        "app = \"demo\"\nhttp = {{ listen = \"off\" }}\n[nats]\nurl = \"{url}\"\n{domain}user = \"demo-{role}\"\npassword = {{ file = \"{role}.password\" }}\n\
         [modules.probe]\nplugin = {plugin:?}\ninput = {{ stream = \"IN\", filter = \"in.>\" }}\nkey = {{ token = 2 }}\n\
         views = [\"v\"]\nemits = [\"out\"]\n"
    );
    Ok(fs::write(folder.join(format!("{role}.toml")), config)?)
}

fn pelton(folder: &Path, role: &str, arguments: &[&str]) -> Result<Output> {
    let config = folder.join(format!("{role}.toml"));
    Ok(Command::new(binary("pelton")?).args(arguments).arg("-c").arg(config).output()?)
}

async fn last(host: &Client) -> Result<u64> {
    let mut stream = jetstream::new(host.clone()).get_stream("KV_demo").await?;
    Ok(stream.info().await?.state.last_sequence)
}

#[tokio::test(flavor = "multi_thread")]
async fn host_reader_and_producer_work_and_only_the_host_can_reach_the_app_stream() -> Result<()> {
    let app = Guarded::start().await?;
    let admin = app.client("host").await?;
    let input = jetstream::stream::Config { name: "IN".into(), subjects: vec!["in.>".into()], ..Default::default() };
    jetstream::new(admin.clone()).create_stream(input).await?;
    let mut host = Host::start(&app.folder.path().join("host.toml"), &app.folder.path().join("pelton.log"))?;

    let (producer, reader) = (app.client("producer").await?, app.client("reader").await?);
    let mut events = reader.subscribe("pelton.demo.events.>").await?;
    reader.flush().await?;
    let bucket = eventually("the app stream", SOON, async || {
        Ok(jetstream::with_domain(reader.clone(), "demo").get_key_value("demo").await.ok())
    });
    let bucket = bucket.await.with_context(|| host.log().unwrap_or_default().join("\n"))?;
    let orders = r#"[{"write":{"key":"a","value":"1"}},{"emit":{}}]"#;
    let stored = jetstream::new(producer.clone()).publish("in.a", orders.into()).await?.await?;
    assert_eq!(stored.sequence, 1);
    let value = eventually("the reader to see the value", SOON, async || Ok(bucket.get("v.1.a").await?));
    assert_eq!(&value.await?[..], b"1");
    let event = tokio::time::timeout(SOON, events.next()).await?.context("no event")?;
    assert_eq!(event.subject.as_str(), "pelton.demo.events.out.a");
    let got = app.pelton("reader", &["view", "get", "v", "a"])?;
    assert_eq!(String::from_utf8(got.stdout)?, "1\n", "{}", String::from_utf8_lossy(&got.stderr));
    for client in [&admin, &reader] {
        let views = eventually("the host to answer queries", SOON, async || {
            Ok(client.request("pelton-query.demo.views.ls", "".into()).await.ok())
        });
        let views: serde_json::Value = serde_json::from_slice(&views.await?.payload)?;
        assert_eq!(views[0]["view"], "v", "{views}");
    }
    let looked: serde_json::Value = serde_json::from_slice(&app.pelton("host", &["doctor", "-o", "json"])?.stdout)?;
    let findings = looked.as_array().context("no list")?;
    assert!(findings.iter().all(|finding| finding["level"] != "error"), "{looked:#}");
    assert!(findings.iter().any(|finding| finding["what"] == "permissions" && finding["level"] == "ok"), "{looked:#}");
    assert!(host.terminate().await?.success());

    let before = last(&admin).await?;
    let checkpoint = "pelton.demo.ckpt.probe.1.0";
    for client in [&reader, &producer] {
        for subject in [checkpoint, "$KV.demo.v.1.a", "pelton.demo.module.probe"] {
            client.publish(subject, "forged".into()).await?;
        }
        // Where an answer goes is not held against what its asker may publish: only the account keeps it away.
        let asked = ["$JS.demo.API.STREAM.INFO.KV_demo", "$JS.demo.API.DIRECT.GET.KV_demo.$KV.demo.v.1.a", "in.b"];
        for subject in asked.into_iter().chain(["$JS.API.STREAM.INFO.KV_demo", "$JS.API.INFO"]) {
            client.publish_with_reply(subject, checkpoint, "[]".into()).await?;
        }
        client.flush().await?;
    }
    // Two that do arrive, behind the others: the producer's own answer, and the same trick within the app's account.
    let second = jetstream::new(producer).publish("in.c", "[]".into()).await?.await?;
    assert_eq!(
        second.sequence, 3,
        "the input that the producer may publish is there, whatever it wants the answer to be"
    );
    admin.publish_with_reply("$JS.API.STREAM.INFO.KV_demo", "pelton.demo.control", "".into()).await?;
    eventually("the trick within the account", SOON, async || Ok((last(&admin).await? > before).then_some(()))).await?;
    assert_eq!(last(&admin).await?, before + 1, "nothing else has come");
    Ok(())
}
