//! The bodies of the state at a time.
//!
//! What is alive is listed by id, and packed by id; the state is told in the order of the names. So objects are read as
//! they are packed, by several threads, and their bodies held until the names are in order, as far as memory allows.

use std::sync::{Mutex, PoisonError};

use super::shares::{for_each_share, share_of};
use super::state::Alive;
use crate::limits::{READ_THREADS, STATE_BODIES_BYTES_MAX};
use crate::model::{EventKey, Uid};
use crate::store::lookup::Lookup;
use crate::store::scratch::Scratch;
use crate::store::versions::Cursors;
use crate::store::{Snapshot, StoreError, keys};

/// What is put down of a version while the names are ordered.
pub(super) struct NamedVersion {
    pub(super) id: u64,
    pub(super) event: EventKey,
    pub(super) kind: u64,
    body_len: u32,
    /// Where the body begins among those that its share holds; `None`: it was not read.
    held_at: Option<u32>,
    pub(super) uid: Uid,
}

/// [`NamedVersion::held_at`] of a body that was not read.
const NOT_HELD: u32 = u32::MAX;
const _: () = assert!(STATE_BODIES_BYTES_MAX < NOT_HELD as usize);

impl NamedVersion {
    /// `object id | event | kind number | length of the body | place of the body | UID`.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = keys::history(self.id, self.event).to_vec();
        bytes.extend_from_slice(&self.kind.to_be_bytes());
        bytes.extend_from_slice(&self.body_len.to_be_bytes());
        bytes.extend_from_slice(&self.held_at.unwrap_or(NOT_HELD).to_be_bytes());
        bytes.extend_from_slice(&keys::uid(&self.uid));
        bytes
    }

    /// Reads what this process has written.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let (history, rest) = bytes.split_first_chunk().unwrap_or((&[0; 24], &[]));
        let (kind, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (body_len, rest) = rest.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let (held_at, uid) = rest.split_first_chunk().unwrap_or((&[0xff; 4], &[]));
        let held_at = u32::from_be_bytes(*held_at);
        Self {
            id: keys::history_object(history),
            event: keys::history_event(history),
            kind: u64::from_be_bytes(*kind),
            body_len: u32::from_be_bytes(*body_len),
            held_at: (held_at != NOT_HELD).then_some(held_at),
            uid: keys::uid_of(uid).unwrap_or_default(),
        }
    }
}

/// Bodies that were read as they are packed, and what reads the others.
pub(super) struct StateBodies {
    shares: Vec<Vec<u8>>,
    cursors: Cursors,
}

impl StateBodies {
    pub(super) fn get(
        &mut self,
        snapshot: &Snapshot,
        named: &NamedVersion,
    ) -> Result<Vec<u8>, StoreError> {
        let len = named.body_len as usize;
        if let Some(at) = named.held_at
            && let Some(held) = self.shares.get(share_of(named.id))
            && let Some(body) = held.get(at as usize..at as usize + len)
        {
            return Ok(body.to_vec());
        }
        let mut body = vec![0; len];
        self.cursors
            .body(snapshot.tables(), named.id, named.event, &mut body)?;
        Ok(body)
    }
}

/// Cursors of which none is kept: each object is asked for one version.
fn no_cursors() -> Cursors {
    Cursors::new(0)
}

impl Snapshot {
    /// The objects alive before `end`, by name, each as a [`NamedVersion`], and their bodies.
    pub(super) fn gather_state(&self, end: EventKey) -> Result<(Scratch, StateBodies), StoreError> {
        self.gather_state_within(end, STATE_BODIES_BYTES_MAX)
    }

    fn gather_state_within(
        &self,
        end: EventKey,
        bodies_bytes: usize,
    ) -> Result<(Scratch, StateBodies), StoreError> {
        let by_name = Mutex::new(Scratch::new(&std::env::temp_dir()));
        let shares = for_each_share(0..READ_THREADS, |share| {
            self.gather_share(end, share, bodies_bytes / READ_THREADS, &by_name)
        })?;
        let bodies = StateBodies {
            shares,
            cursors: no_cursors(),
        };
        let by_name = by_name.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((by_name, bodies))
    }

    fn gather_share(
        &self,
        end: EventKey,
        share: usize,
        bodies_bytes: usize,
        by_name: &Mutex<Scratch>,
    ) -> Result<Vec<u8>, StoreError> {
        // All of it at once: growing would mean copying. What is not used of it costs nothing.
        let mut held: Vec<u8> = Vec::with_capacity(bodies_bytes);
        let mut cursors = no_cursors();
        for alive in self.alive_before(end, |id| share_of(id) == share)? {
            let Alive { id, version } = alive?;
            let Some(row) = self.tables().incarnation(id)? else {
                continue;
            };
            let (from, len) = (held.len(), version.body_len as usize);
            let mut held_at = None;
            if from + len <= bodies_bytes {
                held.resize(from + len, 0);
                let hole = held.get_mut(from..).unwrap_or_default();
                cursors.body(self.tables(), id, version.event, hole)?;
                held_at = u32::try_from(from).ok();
            }
            let named = NamedVersion {
                id,
                event: version.event,
                kind: version.kind,
                body_len: version.body_len,
                held_at,
                uid: row.uid,
            };
            by_name
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(keys::object(&row.key, id), named.to_bytes())?;
        }
        Ok(held)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against an object that is told with another one's body.

    use super::*;
    use crate::limits::STATE_BODIES_BYTES_MAX;
    use crate::model::Timestamp;
    use crate::recorder::SimulatedRecorder;
    use crate::store::Store;
    use crate::workload::{Workload, WorkloadOptions};

    /// Name and body of every object.
    type Told = Vec<(Vec<u8>, Vec<u8>)>;

    /// What is told, and how many bytes of bodies were held.
    fn state(snapshot: &Snapshot, bodies_bytes: usize) -> (Told, usize) {
        let end = EventKey {
            at: Timestamp::MAX,
            seq: 0,
        };
        let (by_name, mut bodies) = snapshot.gather_state_within(end, bodies_bytes).unwrap();
        let held = bodies.shares.iter().map(Vec::len).sum();
        let entries = by_name.into_entries().unwrap().map(|entry| {
            let (key, value) = entry.unwrap();
            let named = NamedVersion::read(&value);
            assert!(snapshot.tables().version(named.id, named.event).is_ok());
            (key, bodies.get(snapshot, &named).unwrap())
        });
        (entries.collect(), held)
    }

    #[tokio::test]
    async fn bodies_are_the_same_whether_they_are_held_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut workload = Workload::new(WorkloadOptions {
            objects: 300,
            changes: 900,
            ..WorkloadOptions::default()
        });
        let store = Store::create(folder.path().join("trace.redb")).unwrap();
        let recorder = SimulatedRecorder::start(store, &workload, "test")
            .await
            .unwrap();
        while let Some(step) = workload.next() {
            recorder.step(step, &workload).await.unwrap();
        }
        let store = recorder.stop().unwrap();
        let snapshot = store.reader().snapshot().unwrap();
        let (all, held) = state(&snapshot, STATE_BODIES_BYTES_MAX);
        let bytes = all.iter().map(|(_, body)| body.len()).sum::<usize>();
        assert!(all.len() > 200 && held == bytes, "{} {held}", all.len());
        for (_, body) in &all {
            assert!(rmp_serde::from_slice::<serde_json::Value>(body).is_ok());
        }
        for part in [0, 3] {
            let limit = bytes * part / 10;
            let (some, held) = state(&snapshot, limit);
            assert!(
                held <= limit && (part == 0 || held > 0),
                "{held} of {limit}"
            );
            assert_eq!(some, all);
        }
    }
}
