//! Guards against wrong bytes in an export: whatever is remembered, a body is what reading its group alone gives.

use proptest::prelude::*;

use super::*;
use crate::limits::{GROUP_VERSIONS_MAX, OBJECT_BYTES_MAX};
use crate::model::{Timestamp, Uid};
use crate::store::body::compress::Decompressor;
use crate::store::rows::WriterRow;
use crate::store::tables::Rows;
use crate::store::tables::WriteTables;
use crate::store::versions::{BodyWriter, NewVersion};
use crate::store::{Store, codec};

fn event(seq: u64) -> EventKey {
    EventKey {
        at: Timestamp::from_micros(seq.cast_signed() * 10),
        seq,
    }
}

/// The body of a version: a little like that of the version before, and like those of other objects.
fn body(object: u64, version: u64, long: bool) -> Vec<u8> {
    let mut text = format!("object {object} of many ");
    for n in 0..30 {
        text.push_str(&format!(
            "field {n}: {} ",
            (object + version / (n + 1)) % 97
        ));
    }
    if long {
        let mut noise = vec![0; 1_500];
        blake3::Hasher::new()
            .update(&object.to_le_bytes())
            .finalize_xof()
            .fill(&mut noise);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&noise);
        return bytes;
    }
    text.into_bytes()
}

/// (object, event, body), in the order of the events; `None`: deleted.
type Written = Vec<(u64, EventKey, Option<Vec<u8>>)>;

/// Writes so many versions of so many objects, in turns that are not the same for all. Object 1 has siblings' bases,
/// every third one long bodies, every fifth one ends deleted.
fn write(tables: &mut WriteTables<'_>, objects: u64, changes: u64) -> Written {
    let mut bodies = BodyWriter::default();
    let mut writer = WriterRow::default();
    let owner = Uid("owner".to_owned());
    let mut written = Vec::new();
    let mut versions = vec![0; usize::try_from(objects).unwrap() + 1];
    for n in 1..=changes {
        let object = 1 + n * n % objects;
        let version = &mut versions[usize::try_from(object).unwrap()];
        *version += 1;
        let deleted = object.is_multiple_of(5) && *version == 20;
        if object.is_multiple_of(5) && *version > 20 {
            continue;
        }
        let body = (!deleted).then(|| body(object, *version, object.is_multiple_of(3)));
        let new = NewVersion {
            event: event(n),
            kind: 1,
            spec_hash: n,
            body: body.as_deref(),
            owner: (object % 2 == 1).then_some(&owner),
            initial: false,
            change_hash: None,
        };
        bodies.append(tables, &mut writer, object, 0, &new).unwrap();
        written.push((object, event(n), body));
    }
    written
}

/// Reads every body; returns how many cursors there were at most.
fn read(cursors: &mut Cursors, tables: &WriteTables<'_>, written: &Written) -> usize {
    let mut most = 0;
    for (object, event, body) in written {
        let Some(body) = body else { continue };
        let mut made = vec![0xee; body.len()];
        cursors.body(tables, *object, *event, &mut made).unwrap();
        assert!(made == *body, "object {object}, change {}", event.seq);
        let places = &cursors.places;
        assert!(places.bytes <= places.limit_bytes);
        let bytes = |cursor: &Cursor| CURSOR_OVERHEAD_BYTES + cursor.kept.len();
        let kept: usize = places.cursors.iter().map(bytes).sum();
        assert_eq!(places.bytes, kept);
        let overhead = places.cursors.len() * CURSOR_OVERHEAD_BYTES;
        assert!(places.arena.used() + overhead <= places.limit_bytes);
        assert!(places.body_bytes <= places.bodies_limit_bytes);
        let bodies: usize = places.cursors.iter().map(Cursor::body_bytes).sum();
        assert_eq!(places.body_bytes, bodies);
        assert_eq!(places.index.len(), places.cursors.len());
        most = most.max(places.cursors.len());
    }
    most
}

#[test]
fn every_body_is_what_was_written_whatever_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let written = write(&mut tables, 97, 8_000);
    assert!(
        Rows::iter(&tables.bases).unwrap().next().is_some(),
        "no keyframe refers to a base"
    );
    let mut before = None;
    for limit in [0, 25_000, 1 << 20] {
        let mut cursors = Cursors::new(limit);
        // Where few fit, no body does: both ways are read.
        cursors.places.bodies_limit_bytes = limit.saturating_sub(25_000);
        let most = read(&mut cursors, &tables, &written);
        assert!(before < Some(most), "{before:?} {most} {limit}");
        before = Some(most);
        // Backwards, and with gaps.
        let reversed: Written = written.iter().rev().cloned().collect();
        read(&mut cursors, &tables, &reversed);
        let some: Written = written
            .iter()
            .step_by(GROUP_VERSIONS_MAX - 5)
            .cloned()
            .collect();
        read(&mut cursors, &tables, &some);
    }
}

#[test]
fn who_stands_at_a_version_makes_its_body_without_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let written = write(&mut tables, 97, 8_000);
    let other = Store::create(folder.path().join("empty.redb")).unwrap();
    let empty_txn = other.begin_write().unwrap();
    let empty = WriteTables::open(&empty_txn).unwrap();
    // The last ones, and those in the midst of groups. Of siblings, and of long bodies, a part is in bases.
    for last in [8_000, 4_000] {
        let mut at = std::collections::BTreeMap::new();
        for (object, event, body) in &written {
            if event.seq <= last && object % 2 == 0 && object % 3 != 0 {
                at.insert(*object, (*event, body.clone()));
            }
        }
        at.retain(|_, (_, body)| body.is_some());
        assert!(at.len() > 10);
        let mut cursors = Cursors::new(1 << 20);
        for (object, (event, _)) in &at {
            let Cursors { places, tools } = &mut cursors;
            places.stand(&tables, *object, *event, tools).unwrap();
        }
        assert_eq!(cursors.places.cursors.len(), at.len());
        let as_read: Written = at
            .iter()
            .rev()
            .map(|(object, (event, body))| (*object, *event, body.clone()))
            .collect();
        read(&mut cursors, &empty, &as_read);
        // What is read is kept, where more of the group follows.
        assert_eq!(cursors.places.body_bytes > 0, last == 4_000);
        // And from there on.
        let later = written.iter().filter(|(_, event, _)| event.seq > last);
        read(&mut cursors, &tables, &later.cloned().collect());
    }
}

#[test]
fn standing_takes_no_more_memory_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let written = write(&mut tables, 97, 8_000);
    let with_body: Written = written.into_iter().filter(|one| one.2.is_some()).collect();
    for limit in [0, 25_000] {
        let mut cursors = Cursors::new(limit);
        for (object, event, _) in &with_body {
            let Cursors { places, tools } = &mut cursors;
            places.stand(&tables, *object, *event, tools).unwrap();
            assert!(places.bytes <= places.limit_bytes);
        }
        // Where they stand may lie behind what is read.
        read(&mut cursors, &tables, &with_body);
    }
    let mut cursors = Cursors::new(25_000);
    let Cursors { places, tools } = &mut cursors;
    let missing = places.stand(&tables, 1, event(9_999), tools).unwrap_err();
    assert!(missing.to_string().contains("missing"));
}

#[test]
fn a_version_taken_out_of_its_group_makes_its_body() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let written = write(&mut tables, 97, 4_000);
    let mut cursors = Cursors::new(0);
    let (mut of_bases, mut deleted) = (0, 0);
    for (object, at, body) in &written {
        let kept = cursors
            .last_before(&tables, *object, event(at.seq + 1))
            .unwrap();
        match (kept, body) {
            (None, None) => deleted += 1,
            (Some(kept), Some(body)) => {
                assert_eq!(kept.version.event, *at);
                assert!(kept.memory_bytes() > kept.version.body_len as usize / 100);
                of_bases += usize::from(kept.base().is_some());
                assert!(cursors.body_of(&tables, &kept).unwrap() == *body);
            }
            (kept, _) => assert_eq!(kept.is_some(), body.is_some(), "object {object}"),
        }
    }
    assert!(
        of_bases > 100 && of_bases < 3_000 && deleted > 3,
        "{of_bases} {deleted}"
    );
    let before = cursors.last_before(&tables, written[0].0, written[0].1);
    assert!(before.unwrap().is_none());
    // A base that is shorter or longer than what it was, or that is not there.
    let (object, at, _) = written
        .iter()
        .find(|(object, at, body)| {
            let end = event(at.seq + 1);
            let kept = cursors.last_before(&tables, *object, end).unwrap();
            body.is_some() && kept.is_some_and(|kept| kept.base().is_some())
        })
        .unwrap();
    let kept = cursors.last_before(&tables, *object, event(at.seq + 1));
    let kept = kept.unwrap().unwrap();
    let base = kept.base().unwrap();
    for bytes in [None, Some([7u8; 40].as_slice())] {
        tables.bases.remove(base).unwrap();
        if let Some(bytes) = bytes {
            let keyframe = crate::store::versions::group::Keyframe::Raw(bytes);
            crate::store::versions::base::insert(&mut tables, base, bytes.len(), keyframe).unwrap();
        }
        assert!(Cursors::new(0).body_of(&tables, &kept).is_err());
    }
}

#[test]
fn what_is_written_meanwhile_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let mut bodies = BodyWriter::default();
    let mut writer = WriterRow::default();
    let mut cursors = Cursors::new(1 << 20);
    for n in 1..100 {
        let body = body(7, n, false);
        for n in [2 * n, 2 * n + 1] {
            let new = NewVersion {
                event: event(n),
                kind: 1,
                spec_hash: n,
                body: Some(&body),
                owner: None,
                initial: false,
                change_hash: None,
            };
            bodies.append(&mut tables, &mut writer, 7, 0, &new).unwrap();
        }
        // The cursor stands before the last version, and the group grows behind it.
        let mut made = vec![0; body.len()];
        cursors.body(&tables, 7, event(2 * n), &mut made).unwrap();
        assert!(made == body, "{n}");
    }
}

#[test]
fn what_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let written = write(&mut tables, 10, 400);
    let (object, last, bytes) = written.iter().rfind(|(_, _, body)| body.is_some()).unwrap();
    let len = bytes.as_ref().unwrap().len();
    let mut cursors = Cursors::new(1 << 20);
    let mut get = |object: u64, event: EventKey, len: usize| {
        cursors.body(&tables, object, event, &mut vec![0; len])
    };
    assert!(get(*object, *last, len).is_ok());
    let message = |result: Result<(), StoreError>| result.unwrap_err().to_string();
    for wrong in [len - 1, len + 1, 0] {
        assert!(message(get(*object, *last, wrong)).contains("another length"));
    }
    assert!(message(get(*object, event(9_999), len)).contains("missing"));
    assert!(message(get(*object, event(0), len)).contains("missing"));
    assert!(message(get(999, *last, len)).contains("missing"));
    let (deleted, at, _) = written.iter().find(|(_, _, body)| body.is_none()).unwrap();
    assert!(message(get(*deleted, *at, 0)).contains("missing"));
}

proptest! {
    /// Bytes flipped behind the seal are an error, or read as reading the group alone does.
    #[test]
    fn damage_is_read_as_others_read_it(at in 0usize..1_400, bits in 1u8.., version in 0usize..20) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("trace.redb")).unwrap();
        let txn = store.begin_write().unwrap();
        let mut tables = WriteTables::open(&txn).unwrap();
        let written = write(&mut tables, 1, 20);
        let key = keys::history(1, written[0].1);
        let row = tables.versions.get(&key).unwrap().unwrap();
        let mut payload = row.value().open(crate::store::versions::TABLE, &key).unwrap().to_vec();
        drop(row);
        let at = at % payload.len();
        payload[at] ^= bits;
        let row = codec::seal(crate::store::versions::TABLE, &key, &payload);
        tables.versions.insert(&key, row.as_slice()).unwrap();
        let mut cursors = Cursors::new(1 << 20);
        for (object, event, _) in &written[..=version] {
            let alone = crate::store::versions::body(&tables, &Decompressor::default(), *object, *event);
            let len = alone.as_ref().map_or(100, Vec::len);
            prop_assert!(len <= OBJECT_BYTES_MAX);
            let mut made = vec![0; len];
            let by_cursor = cursors.body(&tables, *object, *event, &mut made);
            prop_assert_eq!(by_cursor.is_ok(), alone.is_ok());
            if let Ok(alone) = alone {
                prop_assert!(made == alone);
            }
        }
    }
}

/// What is kept of a group becomes longer where a small difference repeats a body that has many pieces.
#[test]
fn what_is_kept_may_become_longer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("trace.redb")).unwrap();
    let txn = store.begin_write().unwrap();
    let mut tables = WriteTables::open(&txn).unwrap();
    let mut noise = vec![0; 2_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let mut bodies = vec![noise.clone()];
    for at in (50..2_000).step_by(100) {
        noise[at] ^= 1;
        bodies.push(noise.clone());
    }
    for _ in 0..2 {
        bodies.push(bodies.last().unwrap().repeat(2));
    }
    bodies.push(bodies.last().unwrap()[1..].to_vec());
    let mut writer = WriterRow::default();
    let mut body_writer = BodyWriter::default();
    for (n, body) in (1..).zip(&bodies) {
        let new = NewVersion {
            event: event(n),
            kind: 1,
            spec_hash: n,
            body: Some(body),
            owner: None,
            initial: false,
            change_hash: None,
        };
        body_writer
            .append(&mut tables, &mut writer, 1, 0, &new)
            .unwrap();
    }
    let mut cursors = Cursors::new(1 << 20);
    cursors.places.bodies_limit_bytes = 0;
    let mut longer = 0;
    for (n, body) in (1..).zip(&bodies) {
        let kept = |cursors: &Cursors| cursors.places.cursors.first().map(|one| one.kept.len());
        let before = kept(&cursors);
        let mut made = vec![0; body.len()];
        cursors.body(&tables, 1, event(n), &mut made).unwrap();
        assert!(made == *body, "change {n}");
        longer += u32::from(before.is_some() && kept(&cursors) > before);
    }
    assert!(longer > 0);
}
