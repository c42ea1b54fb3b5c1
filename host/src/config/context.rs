//! Contexts of the `nats` command line tool: how to reach a server, in a file of the user's.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A context as that tool writes it. What is empty is not set.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Context {
    pub url: String,
    pub user: String,
    pub password: String,
    pub token: String,
    pub creds: String,
    pub nkey: String,
    pub ca: String,
    pub cert: String,
    pub key: String,
    pub tls_first: bool,
    pub jetstream_domain: String,
    pub jetstream_api_prefix: String,
    pub inbox_prefix: String,
    pub nsc: String,
    pub user_jwt: String,
    pub socks_proxy: String,
}

impl Context {
    /// Reads the context called `name`.
    pub fn read(home: &Home, name: &str) -> Result<Self, String> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(format!("{name:?} is no name of a context"));
        }
        let path = home.nats().join("context").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).map_err(|cause| {
            format!(
                "cannot read the context {name:?} in {}: {cause}; `nats context ls` lists those that there are",
                path.display()
            )
        })?;
        // The error of the JSON's reader would quote what it read, which may be a password.
        let context: Self = serde_json::from_str(&text)
            .map_err(|error| format!("the context in {} is damaged at line {}", path.display(), error.line()))?;
        for (field, value) in
            [("nsc", &context.nsc), ("user_jwt", &context.user_jwt), ("socks_proxy", &context.socks_proxy)]
        {
            if !value.is_empty() {
                return Err(format!(
                    "the context {name:?} uses {field}, which Pelton does not: use creds, or set it up in the config"
                ));
            }
        }
        Ok(context)
    }

    /// The name of the context that is selected, if one is.
    pub fn selected(home: &Home) -> Option<String> {
        let text = std::fs::read_to_string(home.nats().join("context.txt")).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

/// Where a user's config files are.
#[derive(Clone, Debug)]
pub struct Home {
    home: Option<PathBuf>,
    config: Option<PathBuf>,
}

impl Home {
    /// As the environment says: `XDG_CONFIG_HOME`, else `.config` in `HOME`.
    pub fn of(environment: impl Fn(&str) -> Option<String>) -> Self {
        let home = environment("HOME").map(PathBuf::from);
        let config = environment("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { config: config.or_else(|| home.as_ref().map(|home| home.join(".config"))), home }
    }

    fn nats(&self) -> PathBuf {
        self.config.clone().unwrap_or_default().join("nats")
    }

    /// A path in which a leading `~/` is the user's home.
    pub fn path(&self, text: &str) -> PathBuf {
        match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => Path::new(text).to_owned(),
        }
    }
}
