//! The command line: a file for each verb.

mod completion;
mod dev;
mod dlq;
mod doctor;
mod graph;
mod inspect;
mod lag;
mod lint;
mod man;
mod module;
mod new;
mod output;
mod permissions;
mod publish;
mod run;
mod schema;
mod server;
mod source;
mod tap;
mod test;
mod top;
mod validate;
mod verify;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::output::Format;
use crate::commit::ledger::Ledger;
use crate::config::{self, Config};
use crate::host::{self, Connections, connect};
use crate::query::Query;
use crate::subject::Subjects;
use crate::telemetry::LogFormat;

/// The exit code of a command line that cannot be read, as clap has it.
const EXIT_USAGE: u8 = 2;
/// The exit code when NATS cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
const EXIT_UNAVAILABLE: u8 = 69;
/// The exit code of a config that cannot be used (`EX_CONFIG` of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// Runs WebAssembly plugins on NATS JetStream events, and commits what they answer exactly once.
#[derive(Parser)]
#[command(name = "pelton", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the app until it is told to stop
    Run(run::Run),
    /// Run the app while it is written: build, reload, with a NATS server of its own
    Dev(dev::Dev),
    /// Check config and plugins, without NATS
    Validate(validate::Validate),
    /// Make a project with a plugin that builds and passes its tests
    New(new::New),
    /// Run the cases of plugins, without NATS
    Test(test::Test),
    /// Find what is odd in config, plugins and cases, without NATS
    Lint(lint::Lint),
    /// Show what a plugin is and what it needs, without NATS
    Inspect(inspect::Inspect),
    /// List, show, pause, resume, swap, scale or reset modules
    #[command(subcommand)]
    Module(module::Verb),
    /// Read views
    #[command(subcommand)]
    View(view::Verb),
    /// List, show, replay or discard dead letters
    #[command(subcommand)]
    Dlq(dlq::Verb),
    /// Watch inputs, events, view writes and failures as they are stored
    Tap(tap::Tap),
    /// Watch rates, lags, states and failures on a screen
    Top(top::Top),
    /// Show who feeds whom: streams, modules, events, views
    Graph(graph::Graph),
    /// Say how far behind modules are, for monitors
    Lag(lag::Lag),
    /// Run inputs again, and say whether the stored effects are those that the plugin gives
    Verify(verify::Verify),
    /// Look app and server over, and say what mends what is wrong
    Doctor(doctor::Doctor),
    /// Make a stream that modules can read of one with workqueue or interest retention
    Source(source::Source),
    /// Print the NATS permissions for host, readers and producers
    Permissions(permissions::Permissions),
    /// Publish CloudEvents to an input stream
    Publish(publish::Publish),
    /// Install the NATS server that `pelton dev` starts
    #[command(subcommand)]
    Server(server::Verb),
    /// About the config file
    #[command(subcommand)]
    Config(schema::Verb),
    /// Print what a shell completes this command line with
    Completion(completion::Completion),
    /// Print or write the manual pages
    Man(man::Man),
}

/// What every verb takes.
#[derive(Args)]
struct Common {
    /// The config file
    #[arg(short, long, default_value = "pelton.toml", env = "PELTON_CONFIG")]
    config: PathBuf,
    /// How to print
    #[arg(short, long, default_value = "text")]
    output: Format,
}

/// What a verb that reads an app works with.
struct Reading {
    connections: Connections,
    subjects: Subjects,
    query: Query,
    output: Format,
}

impl Reading {
    /// The app's ledger, to write what an operator decides.
    fn ledger(&self) -> Ledger {
        let publisher = self.connections.publisher();
        Ledger::new(self.subjects.clone(), self.query.reader().clone(), publisher)
    }
}

/// Who works this command line, for the audit.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{machine}")
}

impl Common {
    fn load(&self) -> Result<Config, config::Error> {
        config::load(&self.config)
    }

    async fn read(&self) -> anyhow::Result<Reading> {
        self.connect(&self.load()?).await
    }

    async fn connect(&self, config: &Config) -> anyhow::Result<Reading> {
        let connections: Connections = connect(&config.nats).await?;
        let query = Query::open(connections.jetstream(), &config.app).await?;
        Ok(Reading { subjects: Subjects::new(&config.app), query, connections, output: self.output })
    }
}

/// Reads the command line. If it cannot be read, or asks for help, that has been said: what to end with.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // Nobody is left to tell if it cannot be printed.
        error.print().ok();
        let is_lag = std::env::args_os().nth(1).is_some_and(|verb| verb == "lag");
        match error.use_stderr() {
            false => ExitCode::SUCCESS,
            true if is_lag => ExitCode::from(lag::UNKNOWN),
            true => ExitCode::from(EXIT_USAGE),
        }
    })
}

/// Does what the command line says, and gives the exit code.
pub async fn main(cli: Cli) -> ExitCode {
    let logs = match &cli.verb {
        Verb::Run(run) => run.logs(),
        Verb::Dev(dev) => dev.logs(),
        _ => LogFormat::Text,
    };
    // A log line in the middle of a screen would be of no use to anybody.
    let has_screen = matches!(&cli.verb, Verb::Top(top) if top.has_screen());
    if !(has_screen && std::io::stderr().is_terminal()) {
        crate::telemetry::init(logs, matches!(cli.verb, Verb::Run(_) | Verb::Dev(_)));
    }
    let done = match cli.verb {
        Verb::Run(run) => run.main().await,
        Verb::Validate(validate) => validate.main(),
        Verb::New(new) => new.main(),
        // Guests may wait, as those that print by WASI do, which is not for threads of the runtime.
        Verb::Test(test) => blocking(|| test.main()).await,
        Verb::Lint(lint) => blocking(|| lint.main()).await,
        Verb::Inspect(inspect) => inspect.main(),
        Verb::Module(module) => module.main().await,
        Verb::View(view) => view.main().await,
        Verb::Dlq(dlq) => dlq.main().await,
        Verb::Tap(tap) => tap.main().await,
        Verb::Top(top) => top.main().await,
        Verb::Graph(graph) => graph.main().await,
        Verb::Lag(lag) => lag.main().await,
        Verb::Verify(verify) => verify.main().await,
        Verb::Doctor(doctor) => doctor.main().await,
        Verb::Permissions(permissions) => permissions.main(),
        Verb::Source(source) => source.main().await,
        Verb::Publish(publish) => publish.main().await,
        Verb::Dev(dev) => dev.main().await,
        Verb::Server(server) => server.main(),
        Verb::Config(config) => config.main(),
        Verb::Completion(completion) => completion.main(),
        Verb::Man(man) => man.main(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

/// Does work that waits, on a thread of its own.
async fn blocking(work: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(work).await?
}

/// An exit code of a verb that has said all it has to say.
#[derive(Debug, thiserror::Error)]
#[error("exit code {0}")]
struct Silent(u8);

fn failed(error: anyhow::Error) -> ExitCode {
    if let Some(Silent(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let code = match error.downcast_ref::<host::Error>() {
        Some(host::Error::Connect { .. }) => EXIT_UNAVAILABLE,
        Some(other) if other.is_of_config() => EXIT_CONFIG,
        _ => 1,
    };
    let code = if error.is::<config::Error>() { EXIT_CONFIG } else { code };
    output::error(&report(error));
    ExitCode::from(code)
}

/// An error for people: one in the config is shown in its place.
fn report(error: anyhow::Error) -> String {
    match error.downcast::<config::Error>() {
        Ok(bad) => format!("{:?}", miette::Report::new(bad)),
        Err(error) => format!("error: {error:#}\n"),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// Calls `check` with each command that does something, and its name in full.
    fn each(command: &Command, path: &str, check: &mut impl FnMut(&str, &Command)) {
        let name = format!("{path} {}", command.get_name());
        if !command.has_subcommands() {
            return check(name.trim(), command);
        }
        // Help that clap makes of the rest.
        let own = command.get_subcommands().filter(|below| below.get_name() != "help");
        own.for_each(|below| each(below, &name, check));
    }

    #[test]
    fn each_verb_says_what_it_does_with_an_example_that_it_takes() {
        let mut verbs = 0;
        each(&Cli::command(), "", &mut |name, command| {
            verbs += 1;
            assert!(command.get_about().is_some(), "{name}");
            assert!(command.get_arguments().any(|argument| argument.get_long() == Some("output")), "{name}");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines =
                help.lines().map(str::trim).filter(|line| line.starts_with(&format!("{name} ")) || *line == name);
            let examples: Vec<&str> = lines.collect();
            assert!(help.contains("Example") && !examples.is_empty(), "{name}: {help}");
        });
        assert!(verbs > 25, "{verbs}");
    }

    /// It is written anew with `PELTON_UPDATE=1` in the environment.
    #[test]
    fn the_reference_of_commands_says_what_each_verb_says_of_itself() {
        let mut all = Cli::command();
        all.build();
        let mut said =
            "# Commands\n\nWhat `--help` says of each. Exit codes: 0 done, 1 failed or refused, 2 a command line \
                        that cannot be read,\n69 NATS cannot be reached, 78 a config that cannot be used.\n"
                .to_owned();
        each(&all, "", &mut |name, command| {
            let mut command = command.clone().mut_args(|argument| argument.hide_env_values(true)).bin_name(name);
            said += &format!("\n## {name}\n\n```text\n{}\n```\n", command.render_long_help().to_string().trim());
        });
        let said: String = said.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
        if std::env::var_os("PELTON_UPDATE").is_some() {
            std::fs::write(file, &said).unwrap();
        }
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            kept == said,
            "docs/commands.md is old: PELTON_UPDATE=1 cargo test --workspace --lib reference_of_commands"
        );
    }
}
