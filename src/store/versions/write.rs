//! Adding versions.

use std::collections::HashMap;

use super::base;
use super::group::{Group, Keyframe, Version, push, push_change_hash};
use super::heads::{Head, Heads};
use super::read::bodies;
use super::siblings::lead;
use crate::limits::{
    DICTIONARY_KINDS_MAX, GROUP_BYTES_MAX, GROUP_VERSIONS_MAX, KEYFRAME_INLINE_BYTES_MAX,
};
use crate::model::{EventKey, Uid};
use crate::store::body::compress::{Compressor, Decompressor, Samples};
use crate::store::body::delta;
use crate::store::lookup::LAST;
use crate::store::rows::{ChangeHash, WriterRow};
use crate::store::tables::{Rows, WriteTables};
use crate::store::{StoreError, keys};

/// A difference up to this length is always worth it, bytes.
const DELTA_BYTES_CHEAP: usize = 96;

/// A body as the difference to the version before; `None` where a keyframe is better.
pub(crate) fn short_difference(before: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut difference = Vec::new();
    delta::encode(before, body, &mut difference);
    (difference.len() <= DELTA_BYTES_CHEAP.max(body.len() / 6)).then_some(difference)
}

/// A version to be added.
#[derive(Clone, Copy)]
pub(crate) struct NewVersion<'a> {
    pub(crate) event: EventKey,
    /// Kind number.
    pub(crate) kind: u64,
    /// SimKube's hash of the spec; 0 for a delete.
    pub(crate) spec_hash: u64,
    /// The object as MessagePack; `None` for a delete.
    pub(crate) body: Option<&'a [u8]>,
    /// Its owner, where it has one: other objects of that owner and kind are most like it.
    pub(crate) owner: Option<&'a Uid>,
    /// The first list of its kind shows it: that is much, and most of it does not change soon.
    pub(crate) initial: bool,
    /// What counts as a change, hashed; `None`: the object's row has it.
    pub(crate) change_hash: Option<ChangeHash>,
}

/// What a group grows by.
struct Grown {
    /// The group as it was.
    group: Head,
    added: Vec<u8>,
}

impl Grown {
    /// The group as it has become with the version.
    fn head(&self, version: Version, change_hash: Option<ChangeHash>) -> Head {
        Head {
            payload_len: self.group.payload_len + self.added.len(),
            versions: self.group.versions + 1,
            last: version,
            body_len: version.body_len,
            change_hash,
            ..self.group
        }
    }
}

/// The last body of a group; `None`: it has none.
fn last_body(
    tables: &WriteTables<'_>,
    decompressor: &Decompressor,
    head: &Head,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(row) = tables.versions.get(&head.key)? else {
        return Ok(None);
    };
    let group = Group::open(&head.key, row.value())?;
    let mut last = None;
    bodies(tables, decompressor, &group, |_, body| {
        last = Some(body.to_vec());
        Ok(true)
    })?;
    Ok(last)
}

/// What the writer needs to make bodies small. Everything in it can be found again.
#[derive(Debug, Default)]
pub(crate) struct BodyWriter {
    pub(super) compressor: Compressor,
    pub(super) decompressor: Decompressor,
    /// By kind number; kinds that have no dictionary yet.
    samples: HashMap<u64, Samples>,
    pub(super) heads: Heads,
}

impl BodyWriter {
    /// Adds a version behind all others of its object. `dictionary` is the number of the kind's dictionary, 0 if it has
    /// none yet; a new number is returned when one was made.
    pub(crate) fn append(
        &mut self,
        tables: &mut WriteTables<'_>,
        writer: &mut WriterRow,
        object: u64,
        dictionary: u64,
        new: &NewVersion<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let version = Version {
            event: new.event,
            deleted: new.body.is_none(),
            kind: new.kind,
            spec_hash: new.spec_hash,
            body_len: new
                .body
                .map_or(0, |body| u32::try_from(body.len()).unwrap_or(u32::MAX)),
        };
        if let Some(grown) = self.grown(tables, object, &version, new.body)? {
            let head = grown.head(version, new.change_hash);
            let mut added = grown.added;
            if let Some(hash) = &new.change_hash {
                push_change_hash(&mut added, hash);
            }
            tables
                .versions
                .grow(&head.key, grown.group.payload_len, &added)?;
            self.remember(object, &head, new.body);
            return Ok(None);
        }
        let key = keys::history(object, new.event);
        let mut payload = Vec::new();
        let mut made = None;
        if let Some(body) = new.body {
            let keyframe = self.keyframe(tables, writer, object, dictionary, new, body)?;
            push(&mut payload, None, &version, &keyframe);
            if dictionary == 0 {
                made = self.sample(tables, writer, new.kind, body)?;
            }
        } else {
            push(&mut payload, None, &version, &[]);
        }
        let head = Head {
            key,
            payload_len: payload.len(),
            versions: 1,
            last: version,
            body_len: version.body_len,
            change_hash: new.change_hash,
        };
        if let Some(hash) = &new.change_hash {
            push_change_hash(&mut payload, hash);
        }
        tables.versions.insert_payload(&key, payload)?;
        let lasting = new.body.filter(|_| !new.initial);
        self.remember(object, &head, lasting);
        Ok(made)
    }

    /// The last version of an object, and its change hash where that is told behind it.
    pub(crate) fn last(
        &mut self,
        tables: &WriteTables<'_>,
        object: u64,
    ) -> Result<Option<(Version, Option<ChangeHash>)>, StoreError> {
        let head = self.head(tables, object, LAST)?;
        Ok(head.map(|head| (head.last, head.change_hash)))
    }

    /// The end of an object's last group, all of which begin before `end`.
    fn head(
        &mut self,
        tables: &WriteTables<'_>,
        object: u64,
        end: EventKey,
    ) -> Result<Option<Head>, StoreError> {
        if let Some(known) = self.heads.get(object) {
            return Ok(Some(known));
        }
        let found = Head::before(tables, object, end)?;
        if let Some(head) = found {
            self.heads.found(object, head);
        }
        Ok(found)
    }

    fn remember(&mut self, object: u64, head: &Head, body: Option<&[u8]>) {
        match body {
            Some(body) => self.heads.remember(object, *head, body),
            None => self.heads.forget(object),
        }
    }

    /// What the object's last group grows by with the version. `None`: a new group is better.
    fn grown(
        &mut self,
        tables: &WriteTables<'_>,
        object: u64,
        version: &Version,
        body: Option<&[u8]>,
    ) -> Result<Option<Grown>, StoreError> {
        let Some(group) = self.head(tables, object, version.event)? else {
            return Ok(None);
        };
        let mut difference = Vec::new();
        if let Some(body) = body {
            if group.versions >= GROUP_VERSIONS_MAX || group.payload_len >= GROUP_BYTES_MAX {
                return Ok(None);
            }
            let shorter = match self.heads.body(object) {
                Some(before) => short_difference(before, body),
                None => last_body(tables, &self.decompressor, &group)?
                    .and_then(|before| short_difference(&before, body)),
            };
            match shorter {
                Some(bytes) => difference = bytes,
                None => return Ok(None),
            }
        }
        let mut added = Vec::new();
        let before = Some((&group.last, group.body_len));
        push(&mut added, before, version, &difference);
        Ok(Some(Grown { group, added }))
    }

    /// The stored form of a group's first body: as the difference to a sibling's where that is clearly shorter than the body's
    /// own, which is not made where it cannot be shorter.
    fn keyframe(
        &mut self,
        tables: &mut WriteTables<'_>,
        writer: &mut WriterRow,
        object: u64,
        dictionary: u64,
        new: &NewVersion<'_>,
        body: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let sibling = new.owner.map(|owner| keys::sibling(owner, new.kind));
        let like = match &sibling {
            Some(sibling) => self.likeness(tables, sibling, object, body)?,
            None => None,
        };
        let like = match like {
            Some(like) if like.is_close(body.len()) => {
                return self.follow(tables, writer, dictionary, new.event.seq, like);
            }
            like => like,
        };
        let mut buffer = Vec::new();
        let own = base::compressed(tables, &mut self.compressor, dictionary, body, &mut buffer)?;
        let own_bytes = own.to_bytes();
        if let Some(like) = like.filter(|like| like.is_worth_it(own_bytes.len())) {
            return self.follow(tables, writer, dictionary, new.event.seq, like);
        }
        if let Some(sibling) = &sibling {
            lead(tables, sibling, object, new.event)?;
        }
        if own_bytes.len() <= KEYFRAME_INLINE_BYTES_MAX {
            return Ok(own_bytes);
        }
        writer.last_base += 1;
        base::insert(tables, writer.last_base, body.len(), own)?;
        Ok(Keyframe::Base {
            base: writer.last_base,
        }
        .to_bytes())
    }

    fn sample(
        &mut self,
        tables: &mut WriteTables<'_>,
        writer: &mut WriterRow,
        kind: u64,
        body: &[u8],
    ) -> Result<Option<u64>, StoreError> {
        if !self.samples.contains_key(&kind) && self.samples.len() >= DICTIONARY_KINDS_MAX {
            return Ok(None);
        }
        let Some(dictionary) = self.samples.entry(kind).or_default().take(body) else {
            return Ok(None);
        };
        self.samples.remove(&kind);
        writer.last_dictionary += 1;
        let number = writer.last_dictionary;
        base::insert_dictionary(tables, number, &dictionary)?;
        Ok(Some(number))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::store::Store;
    use crate::store::versions::{drop_superseded, version_before};

    fn event(seq: u64) -> EventKey {
        EventKey {
            at: Timestamp::from_micros(seq.cast_signed()),
            seq,
        }
    }

    fn body(object: u64, version: u64) -> Vec<u8> {
        let mut text = String::new();
        for n in 0..60 {
            text.push_str(&format!("field {n} of the template: {} ", n * 7_919));
        }
        format!("{text} object {object} version {version}").into_bytes()
    }

    /// A body is stored once: an object whose body others are compared with does not keep it for itself.
    #[test]
    fn the_first_of_an_owner_refers_to_the_base_that_was_made_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("trace.redb")).unwrap();
        let txn = store.begin_write().unwrap();
        let mut tables = WriteTables::open(&txn).unwrap();
        let (mut bodies_of, mut writer) = (BodyWriter::default(), WriterRow::default());
        let owner = Uid("owner".to_owned());
        // The first one has two versions when its sibling comes.
        for (seq, object, version) in [(1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 3, 1), (5, 1, 3)] {
            let body = body(object, version);
            let new = NewVersion {
                event: event(seq),
                kind: 1,
                spec_hash: seq,
                body: Some(&body),
                owner: Some(&owner),
                initial: false,
                change_hash: None,
            };
            bodies_of
                .append(&mut tables, &mut writer, object, 0, &new)
                .unwrap();
        }
        let key = keys::history(1, event(1));
        {
            let row = tables.versions.get(&key).unwrap().unwrap();
            let group = Group::open(&key, row.value()).unwrap();
            let (_, keyframe) = group.entries().next().unwrap().unwrap();
            assert_eq!(Keyframe::read(keyframe), Some(Keyframe::Base { base: 1 }));
            let mut made = Vec::new();
            bodies(&tables, &Decompressor::default(), &group, |_, body| {
                made.push(body.to_vec());
                Ok(true)
            })
            .unwrap();
            assert_eq!(made, [body(1, 1), body(1, 2), body(1, 3)]);
        }
        let last = version_before(&tables, 1, event(9)).unwrap().unwrap();
        assert_eq!((last.event, last.spec_hash), (event(5), 5));
        let uses = |tables: &WriteTables<'_>| {
            let row = tables.bases.get(1).unwrap().unwrap();
            base::uses(1, row.value()).unwrap()
        };
        assert_eq!(uses(&tables), 3);
        // Retention drops the first one's group: the base stays for the others.
        let new = NewVersion {
            event: event(6),
            kind: 1,
            spec_hash: 0,
            body: None,
            owner: None,
            initial: false,
            change_hash: None,
        };
        bodies_of
            .append(&mut tables, &mut writer, 1, 0, &new)
            .unwrap();
        drop_superseded(&mut tables, 1, event(6), |_| {}).unwrap();
        assert_eq!(uses(&tables), 2);
        assert_eq!(
            base::body(&tables, &Decompressor::default(), 1).unwrap(),
            body(1, 1)
        );
    }
}
