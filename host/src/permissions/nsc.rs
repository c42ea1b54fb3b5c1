//! Permissions as commands of `nsc`, for servers with operators and JWTs.

use super::{Permissions, User, local};

impl Permissions {
    /// As commands for a shell, for an operator that is set up.
    pub fn nsc(&self) -> String {
        let Some(account) = self.users.first().map(|user| user.account.as_str()) else { return String::new() };
        let others = format!("{account}_CLIENTS");
        let mut lines = vec![
            format!("nsc add account --name {account}"),
            format!("nsc edit account --name {account} --js-disk-storage -1 --js-mem-storage -1"),
            format!("nsc add account --name {others}"),
        ];
        // Not all versions take an account's name there.
        let key = format!("\"$(nsc describe account --name {account} --field sub | tr -d '\"')\"");
        let subjects = self.services.iter().map(|subject| (subject, " --service"));
        let subjects = subjects.chain(self.streams.iter().map(|subject| (subject, "")));
        for (number, (subject, kind)) in subjects.enumerate() {
            let (local, subject, name) = (quoted(&local(&self.app, subject)), quoted(subject), format!("app-{number}"));
            lines.push(format!("nsc add export --account {account} --name {name} --subject {subject}{kind}"));
            lines.push(format!(
                "nsc add import --account {others} --name {name} --src-account {key} --remote-subject {subject} \
                 --local-subject {local}{kind}"
            ));
        }
        lines.extend(self.users.iter().map(user));
        lines.push("nsc push --all".to_owned());
        lines.join("\n")
    }
}

fn user(user: &User) -> String {
    let list = |subjects: &[String]| quoted(&subjects.join(","));
    let responses = if user.responds { " --allow-pub-response" } else { "" };
    format!(
        "nsc add user --account {} --name {} --allow-pub {} --allow-sub {}{responses}",
        user.account,
        user.name,
        list(&user.publish),
        list(&user.subscribe)
    )
}

/// For a shell, to which `$`, `*` and `>` mean something.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
