//! Measuring a store beside the writer: how many bytes of its file are in use. All of it is read, so it is done seldom.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::size::Measured;
use crate::ingest::Writer;
use crate::limits::{SIZE_MEASURE_AT_ONCE_BYTES_MAX, SIZE_MEASURE_SHARE};
use crate::store::{Snapshot, StoreError};

/// A walk over a store, under way or done.
#[derive(Debug, Default)]
pub(super) struct Measuring {
    under_way: Option<mpsc::Receiver<(Result<u64, StoreError>, Duration)>>,
    /// What it weighed when the walk began, and the passes of packing before that.
    weight: u64,
    passes: u64,
    /// No walk begins before this.
    rests_until: Option<Instant>,
}

impl Measuring {
    /// Measures a small store at once. For a larger one, begins a walk in a thread of its own, unless one is under way, or the
    /// last one was not long ago for the time that it took.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn begin(
        &mut self,
        writer: &Writer,
        allocated_bytes: u64,
    ) -> Result<Option<Measured>, StoreError> {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        if rests || self.under_way.is_some() {
            return Ok(None);
        }
        if allocated_bytes <= SIZE_MEASURE_AT_ONCE_BYTES_MAX {
            return Measured::of(writer).map(Some);
        }
        let snapshot = writer.reader().snapshot()?;
        let (sender, receiver) = mpsc::channel();
        let walk = move || {
            let began = Instant::now();
            // The writer may have ended.
            let _ = sender.send((used(&snapshot), began.elapsed()));
        };
        if let Err(error) = std::thread::Builder::new()
            .name("measuring".to_owned())
            .spawn(walk)
        {
            tracing::warn!(%error, "the store could not be measured");
            return Ok(None);
        }
        self.weight = writer.weight()?;
        self.passes = writer.packing_passes();
        self.under_way = Some(receiver);
        Ok(None)
    }

    /// What a walk has found, once it is done.
    pub(super) fn take(&mut self) -> Option<Measured> {
        let received = self.under_way.as_ref()?.try_recv();
        if matches!(received, Err(mpsc::TryRecvError::Empty)) {
            return None;
        }
        self.under_way = None;
        let (used, took) = received.ok()?;
        self.rests_until = Some(Instant::now() + took * SIZE_MEASURE_SHARE);
        match used {
            Ok(used_bytes) => Some(Measured {
                used_bytes,
                weight: self.weight,
                passes: self.passes,
            }),
            Err(error) => {
                tracing::warn!(%error, "the store could not be measured");
                None
            }
        }
    }
}

impl Measured {
    /// Walks over a store.
    ///
    /// # Errors
    /// What the store says.
    pub(super) fn of(writer: &Writer) -> Result<Self, StoreError> {
        Ok(Self {
            used_bytes: used(&writer.reader().snapshot()?)?,
            weight: writer.weight()?,
            passes: writer.packing_passes(),
        })
    }
}

fn used(snapshot: &Snapshot) -> Result<u64, StoreError> {
    Ok(snapshot.size_on_disk()?.used_bytes())
}
