//! sk-tracedb's writer thread at the rates of the goals, beside a plain file, each run in a process of its own.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::generate::{Wanted, generate};
use crate::line::{Line, Lines};
use crate::rates::Task;
use crate::stores::in_process;
use crate::subject::Name;

/// A rate at which delays are measured, changes a second.
const BUSY_RATE: u32 = 2_000;
/// A rate at which CPU time is measured, changes a second.
const CALM_RATE: u32 = 100;

/// What is run in turns: the subject, the rate, and whether delays are measured.
const TURNS: [(Name, u32, bool); 3] = [
    (Name::SkTracedb, BUSY_RATE, true),
    (Name::AppendOnlyFile, BUSY_RATE, true),
    (Name::SkTracedb, CALM_RATE, false),
];

/// For how long, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// At each rate.
    pub offered: u32,
    /// Idle.
    pub idle: u32,
}

impl Times {
    /// Fails where so many changes are not enough for the busy rate, and some before.
    pub fn ensure_enough(self, changes: u64) -> Result<()> {
        let offered = u64::from(BUSY_RATE) * u64::from(self.offered);
        ensure!(
            changes > offered,
            "{changes} changes are too few: {offered} of them are offered in {} s",
            self.offered
        );
        Ok(())
    }
}

/// Offers the last changes of a workload at the rates; those before them are in the store by then.
pub fn measure(wanted: Wanted, times: Times, runs: usize, folder: &Path) -> Result<Vec<Line>> {
    times.ensure_enough(wanted.changes)?;
    let folder = tempfile::tempdir_in(folder)?;
    eprintln!("{}: making {} changes", wanted.mix, wanted.changes);
    let stream = generate(wanted, &folder.path().join("stream"))?;
    let mut lines = Lines::new(&stream.workload, stream.changes, stream.objects);
    for run in 1..=runs {
        for (subject, rate, delays) in TURNS {
            let place = folder.path().join("store");
            fs::create_dir(&place)?;
            rustix::fs::sync();
            eprintln!(
                "run {run} of {runs}: {subject}: {rate} changes/s for {} s",
                times.offered
            );
            let task = Task {
                subject: subject.to_string(),
                stream: stream.clone(),
                folder: place.clone(),
                rate,
                seconds: times.offered,
                delays,
                idle_seconds: if delays { 0 } else { times.idle },
            };
            let figures = in_process("one-rate", &task)?;
            lines.add(&subject.to_string(), figures);
            fs::remove_dir_all(&place)?;
        }
    }
    Ok(lines.into_lines())
}
