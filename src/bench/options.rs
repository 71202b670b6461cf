//! What to measure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::workload::Mix;

/// A part of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Record the workload.
    Ingest,
    /// Export the whole record, beside copying the same bytes.
    Export,
    /// Export its last hour, beside a store that holds little else.
    Window,
    /// Read the state in the middle of the record.
    State,
    /// Read the history of one object.
    History,
    /// Open the closed store.
    Open,
    /// Open a store whose recorder was killed. Records another one.
    Killed,
    /// Record what is offered at a rate, and nothing. Records other stores.
    Offered,
}

impl Phase {
    /// All phases, in the order in which they run.
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Export,
        Self::Window,
        Self::State,
        Self::History,
        Self::Open,
        Self::Killed,
        Self::Offered,
    ];

    /// Whether it reads the store that ingest makes, or another one.
    pub fn reads(self) -> bool {
        !matches!(self, Self::Ingest | Self::Killed | Self::Offered)
    }

    /// The phases that run when none are named.
    pub const DEFAULT: [Self; 6] = [
        Self::Ingest,
        Self::Export,
        Self::Window,
        Self::State,
        Self::History,
        Self::Open,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Export => "export",
            Self::Window => "window",
            Self::State => "state",
            Self::History => "history",
            Self::Open => "open",
            Self::Killed => "killed",
            Self::Offered => "offered",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no phase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no phase: expected one of {}", Phase::ALL.map(Phase::name).join(", "))]
pub struct InvalidPhase {
    /// The text as given.
    pub text: String,
}

impl FromStr for Phase {
    type Err = InvalidPhase;

    fn from_str(text: &str) -> Result<Self, InvalidPhase> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.name() == text)
            .ok_or_else(|| InvalidPhase {
                text: text.to_owned(),
            })
    }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Changes to record: rows of the record, what the first list shows included.
    pub changes: u64,
    /// About how many tracked objects exist at a time.
    pub objects: usize,
    /// What mostly happens.
    pub mix: Mix,
    /// Chooses one of the possible histories.
    pub seed: u64,
    /// Observations in one commit.
    pub batch: usize,
    /// Where the store shall be; `None`: in a temporary folder. One that exists is read, and not written.
    pub db: Option<PathBuf>,
    /// Keep the temporary store.
    pub keep: bool,
    /// Which phases to run.
    pub phases: Vec<Phase>,
    /// Runs of each reading phase.
    pub runs: usize,
    /// Changes a second that the bytes of a day are told for.
    pub rate: f64,
    /// How long each load is offered, seconds.
    pub offered_seconds: u64,
}

impl Default for BenchOptions {
    /// A few seconds of work.
    fn default() -> Self {
        Self {
            changes: 100_000,
            objects: 5_000,
            mix: Mix::UpdateHeavy,
            seed: 1,
            batch: 256,
            db: None,
            keep: false,
            phases: Phase::DEFAULT.to_vec(),
            runs: 3,
            rate: 100.0,
            offered_seconds: 10,
        }
    }
}
