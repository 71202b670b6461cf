//! Reads SimKube traces (version 2) of any size and from any hand, one object at a time.
//!
//! [`read`] hands a trace piece by piece to a [`TraceVisitor`]; [`check`] only says whether it is sound, so that an
//! import can know before it changes anything. Nothing in the input is trusted: memory is bounded by one object
//! ([`OBJECT_BYTES_MAX`](crate::limits::OBJECT_BYTES_MAX),
//! [`OBJECT_VALUES_MAX`](crate::limits::OBJECT_VALUES_MAX)), whatever lengths it declares, and every fault is a
//! [`TraceError`] with the offset of the byte.
//!
//! What is accepted, beyond the exact bytes that SimKube writes:
//!
//! - Unknown fields of the trace and of its events are skipped, as SimKube does.
//! - Headers longer than they need be (an `array32` of 3).
//! - `version` and `config` in either order, but before `events`, `index` and `pod_lifecycles`; those three in any
//!   order. In an event `ts`, `applied_objs`, `deleted_objs` in this order, which is the order of a replay.
//!
//! What is refused, although SimKube's own parser takes it: structs without field names (arrays), which SimKube never
//! writes; bytes behind the trace; repeated keys in an object; objects without apiVersion, kind or name; a `ts` before
//! that of the event before; a lifecycle that ends before it starts.
//!
//! Repeated kinds and names in `index` and `pod_lifecycles` are not noticed (that would take memory in proportion to
//! the trace): the visitor gets them one after the other, and SimKube takes the last.

use std::convert::Infallible;
use std::io::Read;

use serde_json::Value;

pub use error::{IdentityFault, InvalidTrace, Problem, TraceError};
use grammar::Parser;

use crate::model::Gvk;

mod error;
mod grammar;
mod reader;
mod value;

/// What a trace is handed to, in the order of the file: the config first, and each event whole.
///
/// An error stops the reading and comes back as [`TraceError::Visitor`].
pub trait TraceVisitor {
    /// Why the visitor gives up.
    type Error: std::error::Error + 'static;

    /// The trace's config, `{"trackedObjects": {...}}` (a map, not looked into). Once, before everything else.
    fn config(&mut self, config: Value) -> Result<(), Self::Error>;

    /// An event begins, at `ts_seconds` (Unix seconds, never before the last event's).
    fn event_started(&mut self, ts_seconds: i64) -> Result<(), Self::Error>;

    /// An object of the event was created or changed. It is a map with texts `apiVersion`, `kind` and `metadata.name`,
    /// none of them empty.
    fn applied(&mut self, object: Value) -> Result<(), Self::Error>;

    /// An object of the event was deleted, after everything that was applied in it. As in [`applied`](Self::applied);
    /// it may have no more than its identity.
    fn deleted(&mut self, object: Value) -> Result<(), Self::Error>;

    /// The event is complete.
    fn event_finished(&mut self) -> Result<(), Self::Error>;

    /// The index names an object (`namespace/name`, or the bare name of a cluster-scoped one) and the SimKube hash of
    /// its spec.
    fn index_entry(&mut self, gvk: &Gvk, name: &str, hash: u64) -> Result<(), Self::Error>;

    /// A pod of this owner (`namespace/name`) and pod-spec hash ran from `start_s` to `end_s`, Unix seconds, or was
    /// still running. The lifecycles of one owner and hash come in the order of the file.
    fn lifecycle(
        &mut self,
        owner_gvk: &Gvk,
        owner_name: &str,
        pod_spec_hash: u64,
        start_s: i64,
        end_s: Option<i64>,
    ) -> Result<(), Self::Error>;
}

/// What a trace held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceSummary {
    /// Events.
    pub events: u64,
    /// Applied objects in all events.
    pub applied: u64,
    /// Deleted objects in all events.
    pub deleted: u64,
    /// Objects named by the index.
    pub index_entries: u64,
    /// Pod lifecycles; `Empty` ones not counted.
    pub lifecycles: u64,
    /// `ts` of the first event, Unix seconds; `None` without events.
    pub first_ts: Option<i64>,
    /// `ts` of the last event, Unix seconds; `None` without events.
    pub last_ts: Option<i64>,
}

/// Reads one trace to the end of the input and hands its parts to the visitor.
///
/// The input needs no buffer of its own. What the visitor got before an error stands: use [`check`] first where that
/// matters.
///
/// # Errors
/// [`TraceError::Read`] when the input fails, [`TraceError::Invalid`] when it is not a trace (see the module),
/// [`TraceError::Visitor`] when the visitor does.
pub fn read<V: TraceVisitor>(
    input: impl Read,
    visitor: &mut V,
) -> Result<TraceSummary, TraceError<V::Error>> {
    Parser::new(input, visitor).trace()
}

/// Reads one trace to the end of the input and says what it holds, or what is wrong with it. What passes here,
/// [`read`] hands over completely.
///
/// # Errors
/// As for [`read`].
pub fn check(input: impl Read) -> Result<TraceSummary, TraceError> {
    read(input, &mut Nobody)
}

/// A visitor that does nothing.
struct Nobody;

impl TraceVisitor for Nobody {
    type Error = Infallible;

    fn config(&mut self, _: Value) -> Result<(), Infallible> {
        Ok(())
    }

    fn event_started(&mut self, _: i64) -> Result<(), Infallible> {
        Ok(())
    }

    fn applied(&mut self, _: Value) -> Result<(), Infallible> {
        Ok(())
    }

    fn deleted(&mut self, _: Value) -> Result<(), Infallible> {
        Ok(())
    }

    fn event_finished(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn index_entry(&mut self, _: &Gvk, _: &str, _: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn lifecycle(
        &mut self,
        _: &Gvk,
        _: &str,
        _: u64,
        _: i64,
        _: Option<i64>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
