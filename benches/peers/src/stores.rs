//! The stores side by side: every subject in a process of its own, in turns, so that a noisy minute hits all of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::compressed;
use crate::generate::{Wanted, generate};
use crate::interrupt;
use crate::line::{Figures, Line, Lines};
use crate::stream::Stream;
use crate::subject::{Name, export_all};

/// What a child process is asked to do, as JSON on its command line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// Which subject.
    pub subject: String,
    /// On which changes.
    pub stream: Stream,
    /// In which folder, which is empty.
    pub folder: PathBuf,
    /// Where to write the trace of everything, if it is wanted.
    pub trace: Option<PathBuf>,
}

/// Runs a task in this process.
pub fn run_task(task: &Task) -> Result<Figures> {
    let subject: Name = task.subject.parse()?;
    let figures = crate::run::run(subject, &task.stream, &task.folder)?;
    if let Some(trace) = &task.trace {
        ensure!(subject == Name::SkTracedb, "only sk-tracedb writes traces");
        let out = fs::File::create(trace)?;
        export_all(
            &task.folder,
            &task.stream,
            std::io::BufWriter::with_capacity(1 << 20, out),
        )?;
    }
    Ok(figures)
}

/// Runs all stores on a workload, so many times, in a folder for temporary files.
pub fn compare(wanted: Wanted, runs: usize, folder: &Path) -> Result<Vec<Line>> {
    let folder = tempfile::tempdir_in(folder)?;
    eprintln!(
        "{}: making {} changes of {} objects",
        wanted.mix, wanted.changes, wanted.objects
    );
    let stream = generate(wanted, &folder.path().join("stream"))?;
    let trace = folder.path().join("trace");
    let mut lines = Lines::new(&stream.workload, stream.changes, stream.objects);
    for run in 1..=runs {
        for subject in Name::ALL {
            let place = folder.path().join("store");
            fs::create_dir(&place)?;
            // What earlier runs have left to be written is not this run's.
            rustix::fs::sync();
            let figures = in_process(
                "one",
                &Task {
                    subject: subject.to_string(),
                    stream: stream.clone(),
                    folder: place.clone(),
                    trace: (subject == Name::SkTracedb && run == 1).then(|| trace.clone()),
                },
            )
            .with_context(|| subject.to_string())?;
            eprintln!("run {run} of {runs}: {subject:18} {}", rate(&figures));
            lines.add(&subject.to_string(), figures);
            fs::remove_dir_all(&place)?;
        }
    }
    for (subject, figures) in compressed::sizes(&stream, &trace)? {
        lines.add(subject, figures);
    }
    Ok(lines.into_lines())
}

fn rate(figures: &Figures) -> String {
    let rates = figures.0.iter().filter(|figure| {
        matches!(
            &*figure.metric,
            "changes_per_second" | "rows_per_second" | "ack_p99_ms"
        )
    });
    let rates: Vec<_> = rates
        .map(|figure| format!("{:9.0} {}", figure.value, figure.unit))
        .collect();
    rates.join("  ")
}

/// Runs a task in a process of its own: what it costs is then what this process has cost.
pub fn in_process<T: Serialize>(command: &str, task: &T) -> Result<Figures> {
    let child = Command::new(std::env::current_exe()?)
        .arg(command)
        .arg(serde_json::to_string(task)?)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    interrupt::check()?;
    ensure!(child.status.success(), "the run failed: {}", child.status);
    Ok(serde_json::from_slice(&child.stdout)?)
}
