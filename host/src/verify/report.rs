//! What a verification found, for people and programs. Plain data.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::Sequence;

/// What a verification found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The module.
    pub module: String,
    /// Its input stream.
    pub stream: String,
    /// The range begins behind this input.
    pub behind: Sequence,
    /// The last input that was looked at.
    pub to: Sequence,
    /// Inputs whose effects are stored as the plugin gives them.
    pub inputs: u64,
    /// Among them, those that repeat an earlier one and had none.
    pub repeats: u64,
    /// Events of these inputs.
    pub events: u64,
    /// Dead letters that stand, or stood, for good reason.
    pub dead_letters: u64,
    /// Dead letters that were run again, with the effects that are stored.
    pub replays: u64,
    /// View keys that have the value that the inputs give.
    pub values: u64,
    /// How many inputs and values could not be verified, by why.
    pub unverified: BTreeMap<String, Unverified>,
    /// Digests of plugins that ran inputs and are not at hand.
    pub missing_plugins: Vec<String>,
    /// What else is to be known of this.
    pub notes: Vec<String>,
    /// How many differences there are.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// Some that could not be verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Unverified {
    /// How many.
    pub count: u64,
    /// The first of them: an input's position, or a value's subject.
    pub first: String,
}

/// What is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// The input; none for a view's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Sequence>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What differs.
    pub kind: Kind,
    /// The subject in the app stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What the plugin gives.
    pub expected: String,
    /// What is stored; empty until it is read from where it stands.
    pub stored: String,
    /// Where that stands in the app stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Sequence>,
}

/// What may differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An event.
    #[default]
    Event,
    /// A value of a view.
    Value,
    /// A dead letter.
    DeadLetter,
}

impl Kind {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Value => "value",
            Self::DeadLetter => "dead letter",
        }
    }
}

impl Difference {
    /// A difference between what was expected and what is stored.
    pub fn of(kind: Kind, expected: String, stored: String) -> Self {
        Self { kind, expected, stored, ..Self::default() }
    }

    /// The same, with where it stands.
    #[must_use]
    pub fn at(self, at: Sequence) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The same, with its subject.
    #[must_use]
    pub fn on(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }
}

impl Report {
    /// Notes that an input or a value could not be verified.
    pub fn unclear(&mut self, why: String, which: &dyn std::fmt::Display) {
        let of = self.unverified.entry(why).or_insert_with(|| Unverified { count: 0, first: which.to_string() });
        of.count += 1;
    }

    /// Notes that a plugin is not at hand.
    pub fn lacks(&mut self, plugin: &str) {
        if !self.missing_plugins.iter().any(|known| known == plugin) {
            self.missing_plugins.push(plugin.to_owned());
        }
    }

    /// Notes a difference, and keeps it if it is among the first `most`.
    pub fn differs(&mut self, difference: Difference, most: usize) {
        self.different += 1;
        if self.differences.len() < most {
            self.differences.push(difference);
        }
    }

    /// Whether all of it is as the plugin gives it, as far as anybody could tell with all plugins at hand.
    pub fn is_good(&self) -> bool {
        self.different == 0 && self.missing_plugins.is_empty()
    }
}

/// The most characters of something that is shown.
const SHOWN: usize = 200;

/// The beginning of a text.
pub fn short(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
