//! The workload as observations, made ahead of being recorded: what it costs to make them is nobody's ingest.

use std::time::{Duration, Instant};

use super::BenchError;
use crate::config::{ConfigError, TracerConfig};
use crate::limits::{BENCH_AHEAD_BYTES_MAX, BENCH_AHEAD_OBSERVATIONS_MAX};
use crate::model::{Observation, RedactionKey, Timestamp};
use crate::normalize::Redaction;
use crate::recorder::SimulatedWatches;
use crate::workload::Workload;

/// Observations with the time at which each was made.
pub type Seen = (Timestamp, Observation);

/// Turns a workload into observations, in bounded pieces: first what lists show, then step by step what watches tell.
pub struct Feed {
    workload: Workload,
    watches: SimulatedWatches,
    piece: Vec<Seen>,
    piece_bytes: usize,
    preparing: Duration,
    steps: u64,
}

/// What the workload asks to be recorded.
///
/// # Errors
/// The workload's config is none: a bug.
pub(super) fn config(workload: &Workload) -> Result<TracerConfig, ConfigError> {
    Ok(TracerConfig::parse(workload.config())?.0)
}

impl Feed {
    /// A feed from the workload's present on, for a recorder with this key.
    ///
    /// # Errors
    /// The workload's config is none: a bug.
    pub fn new(workload: Workload, key: RedactionKey) -> Result<Self, BenchError> {
        let config = config(&workload)?;
        let redaction = Redaction::new(key, &config);
        Ok(Self {
            watches: SimulatedWatches::new(config, redaction),
            workload,
            piece: Vec::new(),
            piece_bytes: 0,
            preparing: Duration::ZERO,
            steps: 0,
        })
    }

    /// Hands what lists of all kinds show to `take`, piece by piece.
    ///
    /// # Errors
    /// Those of `take`; [`BenchError::Object`] for an object that is none, a bug of the workload.
    pub fn list(
        &mut self,
        mut take: impl FnMut(&[Seen]) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let Self {
            workload,
            watches,
            piece,
            preparing,
            ..
        } = self;
        let now = workload.now();
        let (mut seen, mut bytes) = (Vec::new(), 0);
        let mut began = Instant::now();
        for watch in watches.kinds() {
            piece.push((
                now,
                Observation::ListStarted {
                    watch: watch.clone(),
                },
            ));
            for object in workload.live_of(watch) {
                watches.listed(watch, object, workload, &mut seen)?;
                for observation in seen.drain(..) {
                    bytes += observation.weight_bytes();
                    piece.push((now, observation));
                }
                if is_full(piece.len(), bytes) {
                    *preparing += began.elapsed();
                    take(piece)?;
                    began = Instant::now();
                    piece.clear();
                    bytes = 0;
                }
            }
            piece.push((
                now,
                Observation::ListFinished {
                    watch: watch.clone(),
                    resource_version: workload.resource_version().to_string(),
                },
            ));
        }
        *preparing += began.elapsed();
        take(piece)?;
        piece.clear();
        Ok(())
    }

    /// Makes the next piece of what watches tell; empty where the workload has ended.
    ///
    /// # Errors
    /// [`BenchError::Object`] for an object that is none, a bug of the workload.
    pub fn next_piece(&mut self) -> Result<&[Seen], BenchError> {
        let began = Instant::now();
        self.piece.clear();
        self.piece_bytes = 0;
        let mut seen = Vec::new();
        while !is_full(self.piece.len(), self.piece_bytes) {
            let Some(step) = self.workload.next() else {
                break;
            };
            self.steps += 1;
            let at = step.at;
            self.watches.step(step, &self.workload, &mut seen)?;
            for observation in seen.drain(..) {
                self.piece_bytes += observation.weight_bytes();
                self.piece.push((at, observation));
            }
        }
        self.preparing += began.elapsed();
        Ok(&self.piece)
    }

    /// The piece that was made last.
    pub fn piece(&self) -> &[Seen] {
        &self.piece
    }

    /// Time spent so far on making and normalizing objects.
    pub fn preparing(&self) -> Duration {
        self.preparing
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

fn is_full(observations: usize, bytes: usize) -> bool {
    observations >= BENCH_AHEAD_OBSERVATIONS_MAX || bytes >= BENCH_AHEAD_BYTES_MAX
}
