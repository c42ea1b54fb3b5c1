//! Logs: structured lines on standard error, as text for people or JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Whether nobody asked for a screen without colours, as <https://no-color.org> has it.
pub fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Starts logging, at the level of the environment variable `PELTON_LOG`. Without it a host logs `info`, and a verb that
/// prints an answer only `error`.
pub fn init(format: LogFormat, is_host: bool) {
    let default = if is_host { "info,async_nats=warn" } else { "error" };
    let filter = EnvFilter::try_from_env("PELTON_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            lines.with_ansi(std::io::stderr().is_terminal() && wants_colours()).with_target(false).init()
        }
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
