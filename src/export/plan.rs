//! The first pass: reads headers in one snapshot, decides and counts.

use std::path::Path;
use std::sync::Mutex;

use super::decisions::Decisions;
use super::error::ExportError;
use super::grouping::Grouping;
use super::index::Index;
use super::lifecycles::Lifecycles;
use super::objects::Objects;
use super::run::ExportRequest;
use super::start_state::StartState;
use crate::config::TracerConfig;
use crate::model::{EventKey, TimeRange, Timestamp};
use crate::query::shares::for_each_share;
use crate::store::{Snapshot, StoreError, headers};

/// Everything about an export except the bodies. Memory is bounded: what grows with the window is in scratch maps.
pub(super) struct Plan {
    pub(super) window: TimeRange,
    /// The first event key behind the snapshot: what is recorded later is not part of this export.
    pub(super) horizon: EventKey,
    pub(super) config: TracerConfig,
    /// Events of the trace, the first (the start state) included.
    pub(super) events: u32,
    pub(super) start: StartState,
    pub(super) start_objects: u32,
    pub(super) decisions: Decisions,
    pub(super) index: Index,
    pub(super) lifecycles: Lifecycles,
    pub(super) applied: u64,
    pub(super) deleted: u64,
    pub(super) cluster_scoped_left_out: u64,
}

impl Plan {
    pub(super) fn make(
        snapshot: &Snapshot,
        request: &ExportRequest,
        scratch_folder: &Path,
    ) -> Result<Self, ExportError> {
        let Some((record_start, _)) = snapshot.extent() else {
            return Err(ExportError::Empty);
        };
        let window = request.window;
        if window.end <= record_start && window.end > window.start {
            return Err(ExportError::BeforeRecord {
                end: window.end,
                record_start,
            });
        }
        let writer = snapshot.writer();
        let horizon = EventKey {
            at: Timestamp::from_micros(writer.last_us),
            seq: writer.last_seq.saturating_add(1),
        };
        let mut plan = Self {
            window,
            horizon,
            config: snapshot.config_before(window.end)?,
            events: 1,
            start: StartState::new(scratch_folder),
            start_objects: 0,
            decisions: Decisions::new(scratch_folder),
            index: Index::new(scratch_folder),
            lifecycles: Lifecycles::new(scratch_folder),
            applied: 0,
            deleted: 0,
            cluster_scoped_left_out: 0,
        };
        plan.objects(snapshot, request)?;
        plan.count_events(snapshot)?;
        plan.lifecycles = Lifecycles::find(snapshot, &plan, scratch_folder)?;
        plan.rest()?;
        Ok(plan)
    }

    /// Gives up the memory that only making the plan needs: the stream takes its own.
    fn rest(&mut self) -> Result<(), StoreError> {
        self.start.rest()?;
        self.index.rest()?;
        self.lifecycles.rest()
    }

    /// Where the changes of the window begin and end.
    pub(super) fn event_range(&self) -> std::ops::Range<EventKey> {
        let end = EventKey {
            at: self.window.end,
            seq: 0,
        }
        .min(self.horizon);
        let start = EventKey {
            at: self.window.start,
            seq: 0,
        }
        .min(end);
        start..end
    }

    /// Decides what is in, and fills the start state and the index.
    fn objects(&mut self, snapshot: &Snapshot, request: &ExportRequest) -> Result<(), ExportError> {
        let events = self.event_range();
        let Self {
            start,
            index,
            decisions,
            ..
        } = self;
        let objects = Objects {
            snapshot,
            filters: &request.filters,
            window: self.window,
            events,
            start: Mutex::new(start),
            index: Mutex::new(index),
        };
        let counted = for_each_share(decisions.shares(), |(share, decisions)| {
            objects.plan(share, decisions)
        })?;
        let start_objects: u64 = counted.iter().map(|counted| counted.start_objects).sum();
        self.start_objects =
            u32::try_from(start_objects).map_err(|_| ExportError::TooLarge { what: "objects" })?;
        self.cluster_scoped_left_out = counted
            .iter()
            .map(|counted| counted.cluster_scoped_left_out)
            .sum();
        Ok(())
    }

    /// Counts the events that the changes make.
    fn count_events(&mut self, snapshot: &Snapshot) -> Result<(), ExportError> {
        let mut grouping = Grouping::default();
        let range = self.event_range();
        for entry in headers::range(snapshot.tables(), range.start, range.end)? {
            let (event, header) = entry?;
            if !self.decisions.includes(header.object)? {
                continue;
            }
            if grouping.begins_event(event.at.as_seconds(), header.deleted, header.body_len) {
                self.events = self
                    .events
                    .checked_add(1)
                    .ok_or(ExportError::TooLarge { what: "events" })?;
            }
            if header.deleted {
                self.deleted += 1;
            } else {
                self.applied += 1;
            }
        }
        Ok(())
    }
}
