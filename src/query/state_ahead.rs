//! The state at a time, read ahead.
//!
//! The state is told in the order of the names, and versions are packed by id. So of the objects whose names come next, as
//! many as memory allows are read at once, by id, by several threads: each version as it is packed, a fraction of its body.
//! Bodies are made of them in the order of the names, a few megabytes at once. All objects of a kind are named before the
//! first of them is told, and nothing of the kinds behind it.

use std::vec;

use super::named::{Merged, Named};
use super::shares::for_each_run;
use super::state::ObjectVersion;
use super::state_names::ListedKind;
use crate::limits::{
    READ_THREADS, STATE_AHEAD_GROWTH, STATE_BODIES_BYTES_MAX, STATE_OBJECTS_AHEAD_MAX,
    STATE_OBJECTS_AHEAD_MIN, STATE_OBJECTS_MADE_MAX, STATE_VERSIONS_BYTES_MAX,
};
use crate::model::{EventKey, ObjectKey};
use crate::store::lookup::Lookup;
use crate::store::versions::{Cursors, KeptVersion, Version};
use crate::store::{Snapshot, StoreError};

/// What is read of each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// All of it.
    Bodies,
    /// No bodies: they are left empty.
    Headers,
}

/// An object that was alive, with what was read of its version.
struct Alive {
    named: Named,
    /// `None` once it has been used.
    read: Option<Result<Found, StoreError>>,
}

enum Found {
    Kept(KeptVersion),
    /// There was no room for it, or there is no need of its body.
    Header(Version),
}

impl Found {
    fn version(&self) -> &Version {
        match self {
            Self::Kept(kept) => &kept.version,
            Self::Header(version) => version,
        }
    }
}

impl Alive {
    /// Length of the body that is made of it.
    fn body_len(&self) -> usize {
        match &self.read {
            Some(Ok(found)) => found.version().body_len as usize,
            _ => 0,
        }
    }

    /// The base that its body is made of.
    fn base(&self) -> Option<u64> {
        match &self.read {
            Some(Ok(Found::Kept(kept))) => kept.base(),
            _ => None,
        }
    }

    /// Memory of what was read, bytes.
    fn memory_bytes(&self) -> usize {
        match &self.read {
            Some(Ok(Found::Kept(kept))) => kept.memory_bytes(),
            _ => 0,
        }
    }
}

/// The state at a time, each object as `make` makes it, on any of the threads. After an error that is not of one object, it
/// ends.
pub(super) struct StateAhead<'s, W, M, T> {
    reading: Reading<'s>,
    epoch: u64,
    is_wanted: W,
    make: M,
    kinds: vec::IntoIter<ListedKind>,
    /// Of the kind that is told.
    names: Option<Merged>,
    /// How many objects of the kind are read next.
    ahead: usize,
    alive: vec::IntoIter<Alive>,
    told: vec::IntoIter<Result<T, StoreError>>,
    bodies_bytes: usize,
    /// One for each thread. None of them keeps a place in a group: each object is asked for one version.
    cursors: Vec<Cursors>,
}

impl<'s, W, M, T> StateAhead<'s, W, M, T>
where
    W: Fn(&ObjectKey) -> bool + Sync,
    M: Fn(ObjectVersion) -> Result<T, StoreError> + Sync,
    T: Send,
{
    /// The wanted objects that were alive before `end`.
    pub(super) fn new(
        snapshot: &'s Snapshot,
        end: EventKey,
        reads: Reads,
        is_wanted: W,
        make: M,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            reading: Reading {
                snapshot,
                end,
                reads,
                versions_bytes: STATE_VERSIONS_BYTES_MAX,
            },
            epoch: snapshot.epoch_before(end)?,
            is_wanted,
            make,
            kinds: snapshot.listed_kinds().into_iter(),
            names: None,
            ahead: 0,
            alive: Vec::new().into_iter(),
            told: Vec::new().into_iter(),
            bodies_bytes: STATE_BODIES_BYTES_MAX,
            cursors: (0..READ_THREADS).map(|_| Cursors::new(0)).collect(),
        })
    }

    /// Reads the next objects. `false`: there are none.
    fn read_ahead(&mut self) -> Result<bool, StoreError> {
        let names = match &mut self.names {
            Some(names) => names,
            None => {
                let Some(kind) = self.kinds.next() else {
                    return Ok(false);
                };
                self.ahead = STATE_OBJECTS_AHEAD_MIN;
                let snapshot = self.reading.snapshot;
                let names = snapshot.names(self.epoch, &kind, &self.is_wanted)?;
                self.names.insert(names)
            }
        };
        let named = names.take(self.ahead).collect::<Result<Vec<_>, _>>()?;
        if named.is_empty() {
            self.names = None;
            return Ok(true);
        }
        let mut by_id: Vec<_> = named.iter().map(Named::id).enumerate().collect();
        by_id.sort_unstable_by_key(|(_, id)| *id);
        let reading = self.reading;
        let runs = for_each_run(&mut self.cursors, &mut by_id, |cursors, run| {
            Ok::<_, StoreError>(reading.run(cursors, run))
        })?;
        let mut all: Vec<_> = named
            .into_iter()
            .map(|named| Alive { named, read: None })
            .collect();
        for (place, read) in runs.into_iter().flatten() {
            if let Some(alive) = all.get_mut(place) {
                alive.read = Some(read);
            }
        }
        let count = all.len();
        all.retain(|alive| alive.read.is_some());
        self.ahead = self.ahead_after(count, &all);
        self.alive = all.into_iter();
        Ok(true)
    }

    /// How many objects are read next: as many as there is memory for if their versions take as much as these, which were
    /// found of so many names.
    fn ahead_after(&self, names: usize, alive: &[Alive]) -> usize {
        let bytes: usize = alive.iter().map(Alive::memory_bytes).sum();
        // One thread's may be longer than the other's.
        let room = self.reading.versions_bytes / 8 * 7;
        let fit = room.saturating_mul(names) / bytes.max(1);
        fit.min(self.ahead * STATE_AHEAD_GROWTH)
            .clamp(STATE_OBJECTS_AHEAD_MIN, STATE_OBJECTS_AHEAD_MAX)
    }

    /// Makes what is told next of what has been read. `false`: nothing of that is left.
    fn make_ahead(&mut self) -> Result<bool, StoreError> {
        let mut bytes = 0;
        let fits = |alive: &&Alive| {
            bytes += alive.body_len();
            bytes <= self.bodies_bytes
        };
        let some = self.alive.as_slice().iter().take(STATE_OBJECTS_MADE_MAX);
        // One at least, whatever its length.
        let count = some.take_while(fits).count().max(1);
        let mut some: Vec<_> = self.alive.by_ref().take(count).enumerate().collect();
        if some.is_empty() {
            return Ok(false);
        }
        // Bases are packed by their numbers.
        some.sort_unstable_by_key(|(place, alive)| (alive.base(), *place));
        let (reading, make) = (self.reading, &self.make);
        let told = for_each_run(&mut self.cursors, &mut some, |cursors, run| {
            let told = run.iter_mut().filter_map(|(place, alive)| {
                let read = alive.read.take()?;
                let object = |found| make(reading.object(cursors, &alive.named, found)?);
                Some((*place, read.and_then(object)))
            });
            Ok::<_, StoreError>(told.collect::<Vec<_>>())
        })?;
        let mut told: Vec<_> = told.into_iter().flatten().collect();
        told.sort_unstable_by_key(|(place, _)| *place);
        let told: Vec<_> = told.into_iter().map(|(_, told)| told).collect();
        self.told = told.into_iter();
        Ok(true)
    }
}

impl<W, M, T> Iterator for StateAhead<'_, W, M, T>
where
    W: Fn(&ObjectKey) -> bool + Sync,
    M: Fn(ObjectVersion) -> Result<T, StoreError> + Sync,
    T: Send,
{
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(told) = self.told.next() {
                return Some(told);
            }
            let more = match self.make_ahead() {
                Ok(false) => self.read_ahead(),
                made => made,
            };
            match more {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.names = None;
                    self.kinds = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// What all threads read.
#[derive(Clone, Copy)]
struct Reading<'s> {
    snapshot: &'s Snapshot,
    end: EventKey,
    reads: Reads,
    /// Memory of all versions that are read ahead.
    versions_bytes: usize,
}

impl Reading<'_> {
    /// What was alive of these ids, each with its place among the names.
    fn run(
        &self,
        cursors: &mut Cursors,
        ids: &[(usize, u64)],
    ) -> Vec<(usize, Result<Found, StoreError>)> {
        let mut room = self.versions_bytes / READ_THREADS;
        let mut read = Vec::with_capacity(ids.len());
        for (place, id) in ids {
            let found = match self.version(cursors, *id) {
                Ok(None) => continue,
                Ok(Some(found)) => found,
                Err(error) => {
                    read.push((*place, Err(error)));
                    continue;
                }
            };
            let found = match found {
                Found::Kept(kept) => match room.checked_sub(kept.memory_bytes()) {
                    Some(rest) => {
                        room = rest;
                        Found::Kept(kept)
                    }
                    None => Found::Header(kept.version),
                },
                header => header,
            };
            read.push((*place, Ok(found)));
        }
        read
    }

    fn version(&self, cursors: &mut Cursors, id: u64) -> Result<Option<Found>, StoreError> {
        let tables = self.snapshot.tables();
        match self.reads {
            Reads::Bodies => {
                let kept = cursors.last_before(tables, id, self.end)?;
                Ok(kept.map(Found::Kept))
            }
            Reads::Headers => {
                let version = tables.version_before(id, self.end)?;
                let alive = version.filter(|version| !version.deleted);
                Ok(alive.map(Found::Header))
            }
        }
    }

    fn object(
        &self,
        cursors: &mut Cursors,
        named: &Named,
        found: Found,
    ) -> Result<ObjectVersion, StoreError> {
        let tables = self.snapshot.tables();
        let Version {
            event,
            kind,
            body_len,
            ..
        } = *found.version();
        let body = match (self.reads, &found) {
            (Reads::Headers, _) => Vec::new(),
            (Reads::Bodies, Found::Kept(kept)) => cursors.body_of(tables, kept)?,
            (Reads::Bodies, Found::Header(_)) => {
                let mut body = vec![0; body_len as usize];
                cursors.body(tables, named.id(), event, &mut body)?;
                body
            }
        };
        Ok(ObjectVersion {
            gvk: self.snapshot.gvk(kind)?,
            key: named.key()?,
            uid: named.uid(),
            event,
            body,
        })
    }
}

#[cfg(test)]
mod tests;
