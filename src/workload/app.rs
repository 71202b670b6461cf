//! Who an object belongs to, and the names that follow from it.

use super::rng::mix;

const WORDS: [&str; 24] = [
    "checkout",
    "ledger",
    "search",
    "catalog",
    "billing",
    "gateway",
    "inventory",
    "profile",
    "session",
    "notifier",
    "shipping",
    "pricing",
    "ingest",
    "thumbnail",
    "recommend",
    "audit",
    "mailer",
    "scheduler",
    "exporter",
    "reporting",
    "fraud",
    "feed",
    "geo",
    "payments",
];

const TEAMS: [&str; 8] = [
    "atlas", "borealis", "cygnus", "delta", "equinox", "fornax", "gemini", "helios",
];

/// Letters and digits that Kubernetes uses in generated names: no vowels, nothing that looks like another.
const NAME_CHARACTERS: [char; 27] = [
    'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x',
    'z', '2', '4', '5', '6', '7', '8', '9',
];

/// 27^5: how many names of five characters there are.
const SHORT_NAMES: u64 = 14_348_907;

/// An application: what a Deployment, a StatefulSet, a ConfigMap ... is called and what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct App {
    /// Makes its name unique. Kept when an object is re-created under the same name.
    pub(super) number: u32,
    /// Index of its namespace.
    pub(super) namespace: u32,
    /// How often an object of this name was created before.
    pub(super) incarnation: u32,
    /// Determines everything about it that stays the same: word, number of variables, sidecar ...
    pub(super) salt: u64,
}

impl App {
    /// The same name, created once more.
    pub(super) fn again(self) -> Self {
        Self {
            incarnation: self.incarnation.saturating_add(1),
            ..self
        }
    }

    /// What it does, in a word.
    pub(super) fn word(self) -> &'static str {
        word(&WORDS, self.salt)
    }

    /// Its name.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.word(), self.number)
    }

    /// Its namespace.
    pub(super) fn namespace_name(self) -> String {
        namespace_name(self.namespace)
    }

    /// Whose it is.
    pub(super) fn team(self) -> &'static str {
        team(self.namespace)
    }

    /// A number that belongs to it, for some aspect of it.
    pub(super) fn aspect(self, aspect: u64) -> u64 {
        mix(self.salt, aspect)
    }
}

/// The word that a number stands for.
pub(super) fn word(words: &[&'static str], number: u64) -> &'static str {
    let count = words.len().max(1) as u64;
    words.get((number % count) as usize).copied().unwrap_or("")
}

/// The team that has a namespace.
pub(super) fn team(namespace: u32) -> &'static str {
    word(&TEAMS, u64::from(namespace))
}

/// The name of a namespace.
pub(super) fn namespace_name(namespace: u32) -> String {
    format!("{}-{}", team(namespace), namespace)
}

/// A name of `length` generated characters.
pub(super) fn generated_name(mut number: u64, length: usize) -> String {
    let base = NAME_CHARACTERS.len() as u64;
    (0..length)
        .map(|_| {
            let digit = (number % base) as usize;
            number /= base;
            NAME_CHARACTERS.get(digit).copied().unwrap_or('x')
        })
        .collect()
}

/// The five characters at the end of a pod's name: different for any two of 14 million pods in a row.
pub(super) fn short_name(serial: u64) -> String {
    // Multiplying by a number that shares no factor with 27^5 only shuffles.
    generated_name(
        (serial % SHORT_NAMES).wrapping_mul(8_191_237) % SHORT_NAMES,
        5,
    )
}
