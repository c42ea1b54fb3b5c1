//! `pelton permissions`: what host, readers and producers need of NATS, and nothing more.

use super::Common;
use super::output::print;
use crate::permissions::{self, Role};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Permissions {
    /// The subjects of one user only
    #[arg(long)]
    role: Option<Role>,
    /// A subject of inputs, for modules that take a whole stream
    #[arg(long = "input")]
    inputs: Vec<String>,
    /// For a server's config, or as commands for a server with JWTs
    #[arg(long, default_value = "config")]
    format: Format,
    #[command(flatten)]
    common: Common,
}

/// What for.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// The accounts of a nats-server's config
    Config,
    /// Commands of nsc
    Nsc,
}

const EXAMPLES: &str = "\
Readers and producers are in an account of their own. Within one account NATS lets any client have an answer sent to any
subject, so permissions alone would not keep them from the app stream.

Examples:
  pelton permissions > accounts.conf       to be included into nats-server's config
  pelton permissions --format nsc
  pelton permissions --role reader
  pelton permissions --input 'orders.>'    when a module takes a whole stream";

impl Permissions {
    pub fn main(self) -> anyhow::Result<()> {
        let Self { role, inputs, format, common } = self;
        let permissions = permissions::permissions(&common.load()?, &inputs)?;
        let Some(role) = role else {
            return print(common.output, &permissions, |all| match format {
                Format::Config => all.server_config(),
                Format::Nsc => all.nsc(),
            });
        };
        let user = permissions.users.into_iter().find(|user| user.role == role);
        print(common.output, &user, |user| {
            let lines = |head: &str, subjects: &[String]| format!("{head}\n  {}\n", subjects.join("\n  "));
            user.as_ref().map_or_else(String::new, |user| {
                let responds = if user.responds { "and answers what it is asked\n" } else { "" };
                let account = format!("user {} of account {}\n", user.name, user.account);
                account + &lines("publishes to", &user.publish) + &lines("subscribes to", &user.subscribe) + responds
            })
        })
    }
}
