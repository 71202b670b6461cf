//! One measurement in a process of its own: our own binary, called with a job, which it answers with a report. So its memory is
//! its own, and nothing in it is warm.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::audience::{Audience, tell};
use super::offered::{self, OfferJob};
use super::open::{self, RecordJob};
use super::{BenchError, export, questions};
use crate::limits::BENCH_POLL_MS;

/// What a process of ours is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Job {
    /// Export a window to a file.
    Export {
        /// The store.
        db: PathBuf,
        /// The trace to write.
        out: PathBuf,
        /// Only so many seconds up to the record's end; `None`: everything.
        last_seconds: Option<u32>,
    },
    /// Read the state at a time.
    State {
        /// The store.
        db: PathBuf,
        /// The time, microseconds since 1970.
        at_us: i64,
    },
    /// Read the history of an object.
    History {
        /// The store.
        db: PathBuf,
        /// Group, kind, namespace, name.
        object: [String; 4],
    },
    /// Open a closed store.
    Open {
        /// The store.
        db: PathBuf,
    },
    /// Record until killed.
    Record(RecordJob),
    /// Record what is offered at a rate.
    Offer(OfferJob),
}

impl Job {
    fn name(&self) -> &'static str {
        match self {
            Self::Export {
                last_seconds: None, ..
            } => "export everything",
            Self::Export { .. } => "export a window",
            Self::State { .. } => "read a state",
            Self::History { .. } => "read a history",
            Self::Open { .. } => "open the store",
            Self::Record(_) => "record",
            Self::Offer(_) => "record what is offered",
        }
    }
}

/// Does a job, given as JSON, in this process, and answers with a report, as JSON.
///
/// # Errors
/// What the job says; [`BenchError::Options`] for a text that is no job.
pub fn work(job: &str) -> Result<String, BenchError> {
    let job: Job = serde_json::from_str(job)
        .map_err(|error| BenchError::Options(format!("not a job: {error}")))?;
    match &job {
        Job::Export {
            db,
            out,
            last_seconds,
        } => answer(&export::export_once(db, out, *last_seconds)?),
        Job::State { db, at_us } => answer(&questions::state_once(db, *at_us)?),
        Job::History { db, object } => answer(&questions::history_once(db, object)?),
        Job::Open { db } => answer(&open::open_once(db)?),
        Job::Offer(job) => answer(&offered::offer_once(job)?),
        Job::Record(job) => answer(&open::record_until_killed(job)?),
    }
}

fn answer(report: &impl Serialize) -> Result<String, BenchError> {
    serde_json::to_string(report)
        .map_err(|error| BenchError::io("cannot write a report")(error.into()))
}

/// How to call a process of ours.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program.
    pub program: PathBuf,
    /// Arguments in front of the job.
    pub arguments: Vec<String>,
}

impl Worker {
    /// Has a job done.
    ///
    /// # Errors
    /// [`BenchError::Worker`] when it fails; [`BenchError::Stopped`], and the process is ended then.
    pub(super) fn ask<R: DeserializeOwned>(
        &self,
        job: &Job,
        audience: &mut dyn Audience,
    ) -> Result<R, BenchError> {
        let what = job.name();
        let failed = |message: String| BenchError::Worker { what, message };
        let mut child = self.start(job)?;
        tell(audience, what, 0, 0).inspect_err(|_| end(&mut child))?;
        let status = wait(&mut child, what, audience)?;
        // Both are a few lines, which wait in their pipes.
        let (mut report, mut message) = (String::new(), String::new());
        let read = |pipe: Option<&mut dyn Read>, text: &mut String| {
            pipe.map_or(Ok(0), |pipe| pipe.read_to_string(text))
        };
        read(child.stdout.as_mut().map(|pipe| pipe as _), &mut report)
            .and_then(|_| read(child.stderr.as_mut().map(|pipe| pipe as _), &mut message))
            .map_err(BenchError::io("cannot read a report"))?;
        if !status.success() {
            return Err(failed(format!("{status}\n{}", message.trim())));
        }
        serde_json::from_str(&report).map_err(|error| failed(format!("{error}: {report:?}")))
    }

    /// Starts a process on a job. It is in a process group of its own: Ctrl-C reaches us, and we end it.
    pub(super) fn start(&self, job: &Job) -> Result<Child, BenchError> {
        let job = serde_json::to_string(job)
            .map_err(|error| BenchError::io("cannot write a job")(error.into()))?;
        Command::new(&self.program)
            .args(&self.arguments)
            .arg(job)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(BenchError::io("cannot start a process of ours"))
    }
}

/// Ends a process.
pub(super) fn end(child: &mut Child) {
    // One that has ended already needs no end; its status is nobody's.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for a process, to half a percent of its time.
///
/// # Errors
/// [`BenchError::Stopped`], and the process is ended then.
pub(super) fn wait(
    child: &mut Child,
    work: &'static str,
    audience: &mut dyn Audience,
) -> Result<ExitStatus, BenchError> {
    let began = Instant::now();
    let mut told = began;
    loop {
        let status = child
            .try_wait()
            .map_err(BenchError::io("cannot wait for a process"));
        if let Some(status) = status.inspect_err(|_| end(child))? {
            return Ok(status);
        }
        if told.elapsed() >= Duration::from_millis(BENCH_POLL_MS) {
            told = Instant::now();
            tell(audience, work, 1, 0).inspect_err(|_| end(child))?;
        }
        let pause = began.elapsed() / 200;
        std::thread::sleep(pause.clamp(Duration::from_micros(50), Duration::from_millis(5)));
    }
}
