//! First bodies as differences to those of siblings: objects of one owner and one kind are nearly equal.

use super::base;
use super::group::{Group, Keyframe, push};
use super::read::bodies;
use super::write::BodyWriter;
use crate::model::{EventKey, Timestamp};
use crate::store::body::delta;
use crate::store::rows::{SiblingRow, WriterRow};
use crate::store::tables::{Rows, WriteTables, get, put};
use crate::store::{StoreError, keys};

/// A body's own compressed form is hardly ever below this part of it: a difference of half of that is worth it in any case.
const OWN_PARTS_MAX: usize = 12;

/// A sibling, and the difference to its first body.
pub(super) struct Like {
    /// Where its row is.
    key: Vec<u8>,
    row: SiblingRow,
    body: Vec<u8>,
    difference: Vec<u8>,
}

impl Like {
    /// Whether the difference is shorter than whatever the body's own form would be.
    pub(super) fn is_close(&self, body_len: usize) -> bool {
        self.difference.len() * 2 * OWN_PARTS_MAX <= body_len
    }

    /// Whether the difference is worth looking up another row with each read, against an own form of `own_len` bytes.
    pub(super) fn is_worth_it(&self, own_len: usize) -> bool {
        self.difference.len() * 2 <= own_len
    }
}

/// New siblings are to be compared with this object from now on.
pub(super) fn lead(
    tables: &mut WriteTables<'_>,
    sibling: &[u8],
    object: u64,
    event: EventKey,
) -> Result<(), StoreError> {
    let row = SiblingRow {
        base: 0,
        object,
        first_us: event.at.as_micros(),
        first_seq: event.seq,
        last_seq: event.seq,
    };
    put(&mut tables.siblings, sibling, &row)
}

impl BodyWriter {
    /// How an object's first body differs from that of its siblings, where one is there to be compared with. `sibling` is
    /// the key of their row.
    pub(super) fn likeness(
        &self,
        tables: &WriteTables<'_>,
        sibling: &[u8],
        object: u64,
        body: &[u8],
    ) -> Result<Option<Like>, StoreError> {
        let row: Option<SiblingRow> = get(&tables.siblings, sibling)?;
        let Some(row) = row.filter(|row| row.object != object) else {
            return Ok(None);
        };
        let Some(like) = self.sibling_body(tables, &row)? else {
            return Ok(None);
        };
        let mut difference = Vec::new();
        delta::encode(&like, body, &mut difference);
        Ok(Some(Like {
            key: sibling.to_vec(),
            row,
            body: like,
            difference,
        }))
    }

    /// A keyframe that is the difference to a sibling's body, which becomes a base where it is none yet.
    pub(super) fn follow(
        &mut self,
        tables: &mut WriteTables<'_>,
        writer: &mut WriterRow,
        dictionary: u64,
        seq: u64,
        like: Like,
    ) -> Result<Vec<u8>, StoreError> {
        let mut row = SiblingRow {
            last_seq: seq,
            ..like.row
        };
        if row.base == 0 {
            writer.last_base += 1;
            row.base = writer.last_base;
            let mut buffer = Vec::new();
            let compressor = &mut self.compressor;
            let own = base::compressed(tables, compressor, dictionary, &like.body, &mut buffer)?;
            base::insert(tables, row.base, like.body.len(), own)?;
            refer_to_base(tables, &like.row, row.base)?;
            self.heads.forget(row.object);
        } else {
            base::retain(tables, row.base)?;
        }
        put(&mut tables.siblings, like.key.as_slice(), &row)?;
        let keyframe = Keyframe::Delta {
            base: row.base,
            bytes: &like.difference,
        };
        Ok(keyframe.to_bytes())
    }

    /// The body that a sibling's row stands for, where it is still there.
    fn sibling_body(
        &self,
        tables: &WriteTables<'_>,
        row: &SiblingRow,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if row.base != 0 {
            return if tables.bases.get(row.base)?.is_some() {
                base::body(tables, &self.decompressor, row.base).map(Some)
            } else {
                Ok(None)
            };
        }
        let key = keys::history(row.object, first_event(row));
        let Some(group) = tables.versions.get(&key)? else {
            return Ok(None);
        };
        let group = Group::open(&key, group.value())?;
        let mut body = None;
        bodies(tables, &self.decompressor, &group, |_, first| {
            body = Some(first.to_vec());
            Ok(false)
        })?;
        Ok(body)
    }
}

/// The object whose first body has become a base refers to it from now on, instead of having it a second time.
fn refer_to_base(
    tables: &mut WriteTables<'_>,
    sibling: &SiblingRow,
    base: u64,
) -> Result<(), StoreError> {
    let key = keys::history(sibling.object, first_event(sibling));
    let mut payload = Vec::new();
    {
        let Some(row) = tables.versions.get(&key)? else {
            return Ok(());
        };
        let group = Group::open(&key, row.value())?;
        let mut entries = group.entries();
        let Some((first, keyframe)) = entries.next().transpose()? else {
            return Ok(());
        };
        let has_own = Keyframe::read(keyframe).is_some_and(|keyframe| keyframe.base().is_none());
        if first.deleted || !has_own {
            return Ok(());
        }
        push(
            &mut payload,
            None,
            &first,
            &Keyframe::Base { base }.to_bytes(),
        );
        let rest = group.payload.get(entries.place().at()..);
        payload.extend_from_slice(rest.unwrap_or_default());
    }
    tables.versions.insert_payload(&key, payload)?;
    base::retain(tables, base)
}

/// The first change of the group that a sibling's row names.
fn first_event(sibling: &SiblingRow) -> EventKey {
    EventKey {
        at: Timestamp::from_micros(sibling.first_us),
        seq: sibling.first_seq,
    }
}
