//! How changes are grouped into the events of a trace.
//!
//! A replay applies an event's `applied_objs` first and deletes its `deleted_objs` second. So changes share an event as
//! long as they fall into the same second and no apply follows a delete; where one does (delete, then create again), a
//! second event with the same `ts` begins (R4). Events are also bounded in objects and bytes: an event is held in memory
//! until its counts are known. The rule looks at headers only, so both passes of an export group alike.

use crate::limits::{TRACE_EVENT_BYTES_MAX, TRACE_EVENT_OBJECTS_MAX};

/// What a deleted object counts for, bytes.
const DELETED_BYTES: usize = 256;

/// Tells where events begin.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    second: i64,
    deleting: bool,
    objects: usize,
    bytes: usize,
}

impl Grouping {
    /// Takes the next change. True: it begins a new event.
    pub(super) fn begins_event(&mut self, second: i64, deleted: bool, body_len: u32) -> bool {
        let size = if deleted {
            DELETED_BYTES
        } else {
            body_len as usize
        };
        if let Some(open) = &mut self.open
            && open.second == second
            && (deleted || !open.deleting)
            && open.objects < TRACE_EVENT_OBJECTS_MAX
            && open.bytes.saturating_add(size) <= TRACE_EVENT_BYTES_MAX
        {
            open.deleting = deleted;
            open.objects += 1;
            open.bytes += size;
            return false;
        }
        self.open = Some(Open {
            second,
            deleting: deleted,
            objects: 1,
            bytes: size,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apply_after_a_delete_begins_an_event_within_the_second() {
        let mut grouping = Grouping::default();
        let begins: Vec<bool> = [
            (5, false),
            (5, false),
            (5, true),
            (5, true),
            (5, false),
            (6, false),
        ]
        .into_iter()
        .map(|(second, deleted)| grouping.begins_event(second, deleted, 10))
        .collect();
        assert_eq!(begins, [true, false, false, false, true, true]);
    }

    #[test]
    fn events_are_bounded_in_objects_and_bytes() {
        let mut grouping = Grouping::default();
        let events = (0..10 * TRACE_EVENT_OBJECTS_MAX)
            .filter(|_| grouping.begins_event(1, false, 1))
            .count();
        assert_eq!(events, 10);
        let mut grouping = Grouping::default();
        let half = u32::try_from(TRACE_EVENT_BYTES_MAX / 2).unwrap_or(u32::MAX);
        let events = (0..10)
            .filter(|_| grouping.begins_event(1, false, half))
            .count();
        assert_eq!(events, 5);
    }
}
