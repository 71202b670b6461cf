//! fjall 3, an LSM tree, with its defaults (LZ4, background workers): one batch over both keyspaces, and a sync of the
//! journal with it, of data as all others sync (`fdatasync`).

use std::path::Path;

use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{CACHE_BYTES, Subject};
use crate::change::{Change, Row};
use crate::stream::Stream;

/// A value of `events` before the body: object, flag, hash of the spec.
const HEADER_BYTES: usize = 8 + 1 + 8;

/// See the module.
pub struct Fjall {
    database: Database,
    /// (time, number) -> header and body.
    events: Keyspace,
    /// Name -> incarnation, last hash, last change.
    objects: Keyspace,
}

impl Fjall {
    fn open(folder: &Path) -> Result<Self> {
        let database = Database::builder(folder.join("changes.fjall"))
            .cache_size(CACHE_BYTES as u64)
            .open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        let objects = database.keyspace("objects", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            events,
            objects,
        })
    }
}

impl Subject for Fjall {
    type Batch = Vec<Change>;

    fn create(folder: &Path, _stream: &Stream) -> Result<Self> {
        Self::open(folder)
    }

    fn prepare(changes: Vec<Change>) -> Vec<Change> {
        changes
    }

    fn append(&mut self, batch: &Vec<Change>) -> Result<()> {
        let mut writes = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for change in batch {
            let event = [change.at_us.to_be_bytes(), change.seq.to_be_bytes()].concat();
            let mut value = Vec::with_capacity(HEADER_BYTES + change.body.len());
            value.extend(change.object.to_be_bytes());
            value.push(u8::from(change.deleted));
            value.extend(change.spec_hash.to_be_bytes());
            value.extend(&change.body);
            writes.insert(&self.events, event.clone(), value);
            let name = [
                &*change.group,
                &*change.kind,
                &*change.namespace,
                &*change.name,
            ]
            .join("\0");
            let mut row = Vec::with_capacity(128);
            row.extend(change.object.to_be_bytes());
            row.push(u8::from(change.deleted));
            row.extend(change.hash);
            row.extend(event);
            row.extend(change.version.as_bytes());
            row.push(0);
            row.extend(change.uid.as_bytes());
            writes.insert(&self.objects, name, row);
        }
        Ok(writes.commit()?)
    }

    fn close(self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn visit(
        folder: &Path,
        _stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let store = Self::open(folder)?;
        for entry in store.events.iter() {
            let (key, value) = entry.into_inner()?;
            let part = |from: usize| -> Result<[u8; 8]> {
                let bytes = key.get(from..from + 8).context("a key is too short")?;
                Ok(bytes.try_into()?)
            };
            let body = value.get(HEADER_BYTES..).context("a value is too short")?;
            each(Row {
                at_us: i64::from_be_bytes(part(0)?),
                seq: u64::from_be_bytes(part(8)?),
                deleted: value.get(8) == Some(&1),
                body,
            })?;
        }
        Ok(())
    }

    fn names(folder: &Path, _stream: &Stream) -> Result<Option<u64>> {
        Ok(Some(Self::open(folder)?.objects.len()? as u64))
    }
}
