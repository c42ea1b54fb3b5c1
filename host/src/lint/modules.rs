//! A module by itself: is its plugin what the config takes it for, and do its settings do what they say? Pure.

use pelton_cases::Then;

use super::{App, Finding, Known};
use crate::guest::{Form, Role};
use crate::policy::OnFailure;

pub(super) fn lint(app: &App<'_>, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &known.plugin {
        Ok(facts) => {
            let grants = &known.module.grants;
            if facts.role == Role::Projector && !grants.emits.is_empty() {
                let what = "its plugin is a projector, which emits nothing".to_owned();
                findings.push(app.finding(known, "emits", "projector-emits", what, "remove `emits`"));
            }
            let reads = facts.imports.iter().any(|import| import.starts_with("pelton:plugin/views@"));
            if reads && facts.form == Form::Module && grants.views.is_empty() {
                let what =
                    "its plugin reads views, but the module owns none: whatever it asks for is refused".to_owned();
                findings.push(app.finding(known, "views", "unowned-views", what, "name its views in `views`"));
            }
        }
        Err(cause) => {
            let help = "build it, or mend `plugin`; `pelton inspect` says more";
            findings.push(app.finding(known, "plugin", "plugin", cause.clone(), help));
        }
    }
    findings.extend(settings(app, known));
    if !known.is_tested() {
        let what = "it has no cases, so nothing is known of what it writes and emits".to_owned();
        let help = format!("put some into cases/{}/first.json; `pelton test` runs them", known.name());
        findings.push(app.finding(known, "plugin", "no-cases", what, &help).note());
    }
    findings
}

fn settings(app: &App<'_>, known: &Known<'_>) -> Vec<Finding> {
    let (module, mut findings) = (known.module, Vec::new());
    if module.grants.views.is_empty() && module.grants.emits.is_empty() {
        let what = "it may neither write a view nor emit anything, so nothing can come of it".to_owned();
        findings.push(app.finding(known, "plugin", "no-effect", what, "grant what it needs in `views` and `emits`"));
    }
    if module.fresh {
        let what = "`fresh` makes an instance for each event, which costs time".to_owned();
        let help = "use it to find out whether a plugin hides state, as `pelton test` does anyway";
        findings.push(app.finding(known, "fresh", "fresh", what, help).note());
    }
    let asks = known.steps().any(|step| matches!(step.then, Then::Retry(_)));
    if module.attempts == 1 && asks {
        let what = "a case shows that its plugin asks for another try, but it has only one".to_owned();
        findings.push(app.finding(known, "attempts", "attempts", what, "raise `attempts`, or have the plugin reject"));
    }
    let is_written = |key| app.source.has(&["modules", known.name(), key]);
    if module.on_failure == OnFailure::Halt && is_written("breaker") {
        let what = "the breaker never opens: the module stops before the first input that fails".to_owned();
        let help = "remove `breaker`, or `on_failure = \"halt\"`";
        findings.push(app.finding(known, "breaker", "breaker", what, help));
    }
    findings
}
