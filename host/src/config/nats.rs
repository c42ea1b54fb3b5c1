//! How to reach NATS: what the config says, else the environment, else a context of the `nats` tool.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::context::{Context, Home};
use super::meant::Finding;
use super::secret::{Secret, SecretTable};
use crate::dev;

/// How to reach NATS.
#[derive(Clone, Debug, PartialEq)]
pub struct Nats {
    /// Whether config or environment name them. A context that is selected, or the default, is nobody's word about this app.
    pub is_named: bool,
    /// The servers, each `nats://HOST:PORT` or `tls://HOST:PORT`.
    pub servers: Vec<String>,
    /// Who this is.
    pub auth: Auth,
    /// How the connection is secured, beyond what the servers ask for.
    pub tls: Option<Tls>,
    /// What the subjects of the JetStream API begin with.
    pub api_prefix: String,
    /// What the subjects of answers begin with, if not the usual.
    pub inbox_prefix: Option<String>,
}

/// Who connects.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Nobody in particular.
    None,
    /// A user with a password.
    User(String, Secret),
    /// Whoever has a token.
    Token(Secret),
    /// Whoever has the seed in this file.
    Nkey(PathBuf),
    /// The user whose JWT and seed are in this file.
    Creds(PathBuf),
}

/// How a connection is secured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The authority that the servers' certificates are checked by, besides those of the system.
    pub ca: Option<PathBuf>,
    /// This client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether it is secured before the server says anything.
    pub first: bool,
}

/// The table `nats` as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct NatsTable {
    url: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    password: Option<Spanned<SecretTable>>,
    token: Option<Spanned<SecretTable>>,
    nkey: Option<PathBuf>,
    creds: Option<PathBuf>,
    tls: Option<Spanned<TlsTable>>,
    domain: Option<Spanned<String>>,
    api_prefix: Option<Spanned<String>>,
    context: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    first: bool,
}

/// The server when nobody names one.
const DEFAULT: &str = "nats://127.0.0.1:4222";
/// What the subjects of the JetStream API begin with, without a domain.
const API_PREFIX: &str = "$JS.API";

impl Nats {
    /// The server at `url`, which asks nobody who he is.
    pub fn open(url: String) -> Self {
        let (servers, api_prefix) = (vec![url], API_PREFIX.to_owned());
        Self { is_named: true, servers, auth: Auth::None, tls: None, api_prefix, inbox_prefix: None }
    }

    /// The servers without what may be secret in their addresses.
    pub fn shown(&self) -> String {
        let plain = |server: &String| match (server.split_once("://"), server.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            (None, Some((_, host))) => host.to_owned(),
            (_, None) => server.clone(),
        };
        self.servers.iter().map(plain).collect::<Vec<_>>().join(",")
    }
}

/// What one place says. Where several speak of one thing, the first counts; who connects is one thing, however it is said.
#[derive(Default)]
struct Said {
    url: Option<String>,
    auth: Option<Auth>,
    tls: Option<Tls>,
    api_prefix: Option<String>,
    inbox_prefix: Option<String>,
}

/// What the table means, with the `environment` and the user's contexts for what it leaves out.
pub fn meant(table: NatsTable, folder: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Nats, Finding> {
    let home = Home::of(&environment);
    let (context, at) = match &table.context {
        Some(name) => (Some(name.as_ref().clone()), name.span()),
        None => (environment("NATS_CONTEXT"), 0..0),
    };
    let config = of_table(table, folder)?;
    let environment = of_environment(environment, &home);
    let is_named = config.url.is_some() || environment.url.is_some() || context.is_some();
    // The server of a `pelton dev` that runs here is meant before one that was selected for other work.
    let own = if is_named { None } else { dev::server::address(&folder.join(dev::SERVER)) };
    let is_known = is_named || own.is_some();
    let context = context.or_else(|| if is_known { None } else { Context::selected(&home) });
    let context = match context {
        Some(name) => of_context(Context::read(&home, &name).map_err(|why| Finding::new(at, why))?, &home),
        None => Said::default(),
    };
    let url = config.url.or(environment.url).or(context.url).or(own).unwrap_or_else(|| DEFAULT.to_owned());
    Ok(Nats {
        is_named,
        servers: url.split(',').map(|server| server.trim().to_owned()).collect(),
        auth: config.auth.or(environment.auth).or(context.auth).unwrap_or(Auth::None),
        tls: config.tls.or(environment.tls).or(context.tls),
        api_prefix: config.api_prefix.or(context.api_prefix).unwrap_or_else(|| API_PREFIX.to_owned()),
        inbox_prefix: context.inbox_prefix,
    })
}

fn of_table(table: NatsTable, folder: &Path) -> Result<Said, Finding> {
    let NatsTable { url, user, password, token, nkey, creds, tls, domain, api_prefix, context: _ } = table;
    if let Some(url) = url.as_ref().filter(|url| url.as_ref().contains('@')) {
        let message =
            "a password in a url can be seen by all who see the config: use user and password = { env = \"…\" }";
        return Err(Finding::new(url.span(), message));
    }
    let at =
        [user.as_ref().map(Spanned::span), password.as_ref().map(Spanned::span), token.as_ref().map(Spanned::span)];
    let at = at.into_iter().flatten().next().unwrap_or(0..0);
    let secret = |secret: Spanned<SecretTable>| {
        let at = secret.span();
        secret.into_inner().meant(folder).map_err(|why| Finding::new(at, why))
    };
    let auth = match (user, password, token, nkey, creds) {
        (None, None, None, None, None) => None,
        (Some(user), Some(password), None, None, None) => Some(Auth::User(user.into_inner(), secret(password)?)),
        (None, None, Some(token), None, None) => Some(Auth::Token(secret(token)?)),
        (None, None, None, Some(nkey), None) => Some(Auth::Nkey(folder.join(nkey))),
        (None, None, None, None, Some(creds)) => Some(Auth::Creds(folder.join(creds))),
        _ => return Err(Finding::new(at, "who connects is said by user and password, or by token, nkey or creds")),
    };
    let prefix = match (domain, api_prefix) {
        (Some(_), Some(prefix)) => {
            return Err(Finding::new(prefix.span(), "a domain is an api_prefix: give one of them"));
        }
        (Some(domain), None) => Some(format!("$JS.{}.API", token_of(domain, "domain")?)),
        (None, Some(prefix)) => Some(prefix.into_inner()),
        (None, None) => None,
    };
    let tls = tls.map(|tls| tls_of(tls, folder)).transpose()?;
    Ok(Said { url: url.map(Spanned::into_inner), auth, tls, api_prefix: prefix, inbox_prefix: None })
}

fn token_of(written: Spanned<String>, what: &str) -> Result<String, Finding> {
    let fits =
        !written.as_ref().is_empty() && !written.as_ref().contains(|c: char| c.is_whitespace() || ".*>".contains(c));
    if fits {
        Ok(written.into_inner())
    } else {
        Err(Finding::new(written.span(), format!("a {what} is one word without dots")))
    }
}

fn tls_of(written: Spanned<TlsTable>, folder: &Path) -> Result<Tls, Finding> {
    let at = written.span();
    let TlsTable { ca, cert, key, first } = written.into_inner();
    let client = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((folder.join(cert), folder.join(key))),
        _ => return Err(Finding::new(at, "a certificate goes with its key: give cert and key")),
    };
    Ok(Tls { ca: ca.map(|ca| folder.join(ca)), client, first })
}

/// What the variables say that the `nats` tool reads, in the way it does: a user without a password is a token.
fn of_environment(environment: impl Fn(&str) -> Option<String>, home: &Home) -> Said {
    let get = |name: &str| environment(name).unwrap_or_default();
    of_context(
        Context {
            url: get("NATS_URL"),
            user: get("NATS_USER"),
            password: get("NATS_PASSWORD"),
            token: get("NATS_TOKEN"),
            creds: get("NATS_CREDS"),
            nkey: get("NATS_NKEY"),
            ca: get("NATS_CA"),
            cert: get("NATS_CERT"),
            key: get("NATS_KEY"),
            ..Context::default()
        },
        home,
    )
}

fn of_context(context: Context, home: &Home) -> Said {
    let Context { url, user, password, token, creds, nkey, ca, cert, key, tls_first, .. } = context;
    let set = |text: String| Some(text).filter(|text| !text.is_empty());
    let path = |text: String| set(text).map(|text| home.path(&text));
    let auth = match (set(user), set(password), set(token), path(nkey), path(creds)) {
        (_, _, _, _, Some(creds)) => Some(Auth::Creds(creds)),
        (_, _, _, Some(nkey), None) => Some(Auth::Nkey(nkey)),
        (Some(user), Some(password), _, None, None) => Some(Auth::User(user, Secret::here(password))),
        (Some(token), None, _, None, None) | (None, _, Some(token), None, None) => {
            Some(Auth::Token(Secret::here(token)))
        }
        (None, _, None, None, None) => None,
    };
    let tls = Tls { ca: path(ca), client: path(cert).zip(path(key)), first: tls_first };
    let domain = set(context.jetstream_domain).map(|domain| format!("$JS.{domain}.API"));
    Said {
        url: set(url),
        auth,
        tls: Some(tls).filter(|tls| *tls != Tls::default()),
        api_prefix: set(context.jetstream_api_prefix).or(domain),
        inbox_prefix: set(context.inbox_prefix),
    }
}

#[cfg(test)]
mod tests;
