//! The digest of what a module's table says that decides about the effects of inputs, so that hosts can compare it.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::Module;

impl Module {
    /// The SHA-256 of all settings but plugin, input, key and lanes, which the module's record holds as they are.
    pub fn settings(&self) -> String {
        let Self { grants, config, attempts, on_failure, on_gap, dedupe, fresh, limits, .. } = self;
        let emits: Vec<_> =
            grants.emits.iter().map(|(category, kept)| (category, kept.map(|kept| kept.as_millis()))).collect();
        let text = json!({
            "views": grants.views,
            "emits": emits,
            "config": config,
            "attempts": attempts,
            "on_failure": on_failure,
            "on_gap": on_gap,
            "dedupe": dedupe.map(|window| window.as_millis()),
            "fresh": fresh,
            "limits": limits,
        });
        format!("sha256:{:x}", Sha256::digest(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config;

    fn settings(more: &str) -> String {
        let text = format!("app = \"shop\"\n[modules.a]\nplugin = \"a.wasm\"\ninput = {{ stream = \"S\" }}\n{more}\n");
        config::parse(&text, Path::new("pelton.toml")).unwrap().modules.first().unwrap().settings()
    }

    #[test]
    fn what_decides_about_effects_is_in_the_digest_and_what_is_kept_elsewhere_is_not() {
        let plain = settings("");
        for same in ["lanes = 4", "build = \"make\"", "attempts = 5", "key = \"subject\""] {
            assert_eq!(settings(same), plain, "{same}");
        }
        let others = [
            "views = [\"v\"]",
            "emits = [\"e\"]",
            "config = { a = \"1\" }",
            "config = { a = \"2\" }",
            "attempts = 6",
            "on_failure = \"halt\"",
            "on_gap = \"skip\"",
            "dedupe = { by = \"id\", window = \"1m\" }",
            "fresh = true",
            "limits = { deadline = \"2s\" }",
        ];
        let mut all = others.map(settings).to_vec();
        all.push(plain);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), others.len() + 1);
    }
}
