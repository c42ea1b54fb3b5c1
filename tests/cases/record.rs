//! A module's record forbids what would break its order or skip inputs.

use anyhow::Result;
use pelton_tests::{App, SOON, logged};

const WAS: &str = "plugin = \"probe.wasm\"\ninput = { stream = \"IN\", filter = \"in.a\" }\nkey = { token = 2 }\n\
                   lanes = 2\nviews = [\"v\"]\nemits = [\"out\"]\n";

fn module(table: &str) -> String {
    format!("[modules.probe]\n{table}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_key_lanes_or_input_is_refused_by_name() -> Result<()> {
    let app = App::with_input(&module(WAS)).await?;
    app.stream("OTHER", "other").await?;
    logged(&app.host()?, &["running"]).await?;
    let changes = [
        ("key = { token = 2 }", "key = \"subject\"", "key"),
        ("lanes = 2", "lanes = 3", "number of lanes"),
        ("stream = \"IN\", filter = \"in.a\"", "stream = \"OTHER\", filter = \"in.a\"", "input stream"),
        ("filter = \"in.a\"", "filter = \"in.*\"", "input filter"),
    ];
    for (was, is, what) in changes {
        app.configure(&module(&WAS.replace(was, is)))?;
        let mut host = app.host_called(&what.replace(' ', "-"))?;
        let status = host.wait(SOON).await?;
        let log = host.log()?.join("\n");
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&format!("module \"probe\": its {what} was")), "{log}");
    }
    app.configure(&module(WAS))?;
    logged(&app.host_called("again")?, &["running"]).await?;
    Ok(())
}
