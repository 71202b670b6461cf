//! Counts what a trace holds, with nothing of ours nor of SimKube's: any MessagePack reader can.

use std::io::Read;

use anyhow::Context;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::http::Answer;

/// What is in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub applied: u64,
    pub deleted: u64,
}

#[derive(Deserialize)]
struct Trace {
    version: u64,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    applied_objs: Vec<IgnoredAny>,
    deleted_objs: Vec<IgnoredAny>,
}

/// Reads a whole trace.
pub fn count(trace: impl Read) -> anyhow::Result<Counts> {
    let trace: Trace = rmp_serde::from_read(trace).context("the export is no trace")?;
    anyhow::ensure!(
        trace.version == 2,
        "the trace has version {}",
        trace.version
    );
    let mut counts = Counts::default();
    for event in &trace.events {
        counts.applied += event.applied_objs.len() as u64;
        counts.deleted += event.deleted_objs.len() as u64;
    }
    Ok(counts)
}

/// Reads the trace in an answer.
pub fn count_in(answer: &Answer) -> anyhow::Result<Counts> {
    count(Pieces {
        answer,
        piece: 0,
        offset: 0,
    })
}

/// The body as a reader.
struct Pieces<'a> {
    answer: &'a Answer,
    piece: usize,
    offset: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while let Some(piece) = self.answer.body.get(self.piece) {
            let rest = &piece[self.offset..];
            if rest.is_empty() {
                self.piece += 1;
                self.offset = 0;
                continue;
            }
            let size = rest.len().min(out.len());
            out[..size].copy_from_slice(&rest[..size]);
            self.offset += size;
            return Ok(size);
        }
        Ok(0)
    }
}
