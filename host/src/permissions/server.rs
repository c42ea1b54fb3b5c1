//! Permissions as a part of a nats-server's config.

use super::{Permissions, User, local, word};

impl Permissions {
    /// As the `accounts` of a nats-server's config. Passwords come from the server's environment.
    pub fn server_config(&self) -> String {
        let Some(account) = self.users.first().map(|user| user.account.as_str()) else { return String::new() };
        let of = |own: bool| self.users.iter().filter(move |user| (user.account == account) == own);
        let exports = self.lines(|kind, subject| format!("{{ {kind}: {} }}", quoted(subject)));
        let imports = self.lines(|kind, subject| {
            let to = Some(local(&self.app, subject)).filter(|local| local != subject);
            let to = to.map(|local| format!(", to: {}", quoted(&local))).unwrap_or_default();
            format!("{{ {kind}: {{ account: {account}, subject: {} }}{to} }}", quoted(subject))
        });
        format!(
            "# Readers and producers have an account of their own: whoever is in the app's account can have the\n\
             # server's answers sent to any subject in it, whatever it may publish itself. To\n\
             # readers JetStream is in the domain \"{}\": domain = \"{}\", or nats --js-domain {}.\naccounts {{\n  {account} {{\n    \
             jetstream: enabled\n    users: [\n{}    ]\n    exports: [\n{exports}    ]\n  }}\n  {account}_CLIENTS {{\n    \
             users: [\n{}    ]\n    imports: [\n{imports}    ]\n  }}\n}}\n",
            self.app,
            self.app,
            self.app,
            of(true).map(user).collect::<String>(),
            of(false).map(user).collect::<String>(),
        )
    }

    fn lines(&self, line: impl Fn(&str, &str) -> String) -> String {
        let services = self.services.iter().map(|subject| ("service", subject));
        let streams = self.streams.iter().map(|subject| ("stream", subject));
        services.chain(streams).map(|(kind, subject)| format!("      {}\n", line(kind, subject))).collect()
    }
}

fn user(user: &User) -> String {
    let variable = format!("{}_PASSWORD", user.name.to_uppercase().replace('-', "_"));
    let responses = if user.responds { "\n          allow_responses: true" } else { "" };
    format!(
        "      # {}\n      {{\n        user: {}, password: ${variable}\n        permissions: {{\n          publish: \
         {{ allow: [{}] }}\n          subscribe: {{ allow: [{}] }}{responses}\n        }}\n      }}\n",
        word(user.role),
        quoted(&user.name),
        list(&user.publish),
        list(&user.subscribe)
    )
}

fn list(subjects: &[String]) -> String {
    subjects.iter().map(|subject| format!("\n            {}", quoted(subject))).collect::<String>() + "\n          "
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
