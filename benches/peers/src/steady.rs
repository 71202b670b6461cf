//! sk-tracedb's writer thread at the rates of the goals, each run in a process of its own.

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

/// For how long, seconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// At each rate.
    pub offered: u32,
    /// Idle.
    pub idle: u32,
}

/// Offers the last changes of a workload at the rates; those before them are in the store by then.
pub fn measure(wanted: Wanted, times: Times, runs: usize, folder: &Path) -> Result<Vec<Line>> {
    let offered = u64::from(BUSY_RATE) * u64::from(times.offered);
    ensure!(
        wanted.changes > offered,
        "{} changes are too few: {offered} of them are offered",
        wanted.changes
    );
    let folder = tempfile::tempdir_in(folder)?;
    eprintln!("{}: making {} changes", wanted.mix, wanted.changes);
    let stream = generate(wanted, &folder.path().join("stream"))?;
    let mut lines = Lines::new(&stream.workload, stream.changes, stream.objects);
    for run in 1..=runs {
        for (rate, delays) in [(BUSY_RATE, true), (CALM_RATE, false)] {
            let place = folder.path().join("store");
            fs::create_dir(&place)?;
            rustix::fs::sync();
            eprintln!(
                "run {run} of {runs}: {rate} changes/s for {} s",
                times.offered
            );
            let task = Task {
                stream: stream.clone(),
                folder: place.clone(),
                rate,
                seconds: times.offered,
                delays,
                idle_seconds: if delays { 0 } else { times.idle },
            };
            let figures = in_process("one-rate", &task)?;
            lines.add(&Name::SkTracedb.to_string(), figures);
            fs::remove_dir_all(&place)?;
        }
    }
    Ok(lines.into_lines())
}
