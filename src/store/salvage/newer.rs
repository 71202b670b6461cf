//! Which of two rows of one key counts: the newer one. Pages of earlier commits hold earlier rows.

use std::cmp::Reverse;

use redb::Key;

use crate::model::EventKey;
use crate::store::codec::{self, Row, RowBytes};
use crate::store::rows::{
    GapRow, KindRow, ObjectRow, OwnerRow, PodRow, RunRow, WatchRow, WriterRow,
};
use crate::store::tables::{StoredRows, WriteRows, WriteTables};
use crate::store::versions::Group;
use crate::store::{StoreError, WRITER, meta};

/// Whether a row is newer than the one that was found before.
fn is_newer(table: &str, key: &[u8], new: RowBytes<'_>, old: RowBytes<'_>) -> bool {
    fn by<R: Row, O: Ord>(
        key: &[u8],
        new: RowBytes<'_>,
        old: RowBytes<'_>,
        of: impl Fn(&R) -> O,
    ) -> bool {
        match (codec::decode::<R>(key, new), codec::decode::<R>(key, old)) {
            (Ok(new), Ok(old)) => of(&new) > of(&old),
            (Ok(_), Err(_)) => true,
            _ => false,
        }
    }
    match table {
        // Rows that are added to.
        "event_to_headers" => new.payload_len() > old.payload_len(),
        // Its keyframe may have become shorter.
        "object_and_event_to_versions" => last_version(key, new) > last_version(key, old),
        "object_to_row" => by(key, new, old, |row: &ObjectRow| row.last_seq),
        "uid_to_owner" => by(key, new, old, |row: &OwnerRow| {
            (row.object, row.owners.len())
        }),
        // A number that was given in a transaction which never came to its end is given again, to another pod.
        "number_to_pod" => match (codec::decode(key, new), codec::decode(key, old)) {
            (Ok(new), Ok(old)) => is_newer_pod(&new, &old),
            (new, old) => new.is_ok() && old.is_err(),
        },
        "run_to_row" => by(key, new, old, |row: &RunRow| (row.closed, row.last_us)),
        "gap_to_row" => by(key, new, old, |row: &GapRow| row.end_us),
        "kind_to_watch" => by(key, new, old, |row: &WatchRow| row.contact_us),
        "kind_id_to_kind" => by(key, new, old, |row: &KindRow| {
            (row.applies + row.deletes, row.dictionary)
        }),
        "meta" if key == WRITER.as_bytes() => {
            by(key, new, old, |row: &WriterRow| {
                // Retention goes on where nothing is recorded, and counts down.
                let horizon = (row.horizon_seq != 0).then(|| row.horizon());
                let given = (row.last_seq, row.last_us, row.last_pod, row.run);
                (given, horizon, Reverse(row.changes), Reverse(row.pods))
            })
        }
        // Written once.
        _ => false,
    }
}

fn is_newer_pod(new: &PodRow, old: &PodRow) -> bool {
    let told = |row: &PodRow| {
        let times = row.times;
        let ends = (times.end_us, times.containers_end_us);
        (row.gone, ends, times.start_us, row.object)
    };
    new.uid == old.uid && told(new) > told(old)
}

/// The last event that a group of versions tells of; `None` where it cannot be read.
fn last_version(key: &[u8], row: RowBytes<'_>) -> Option<EventKey> {
    let group = Group::open(key.try_into().ok()?, row).ok()?;
    let last = group.entries().last()?;
    Some(last.ok()?.0.event)
}

/// Stores a row unless a newer one is there. `key` is the key as it is sealed.
pub(super) fn put(
    tables: &mut WriteTables<'_>,
    table: &'static str,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    fn into<K>(
        target: &mut (impl StoredRows<K> + WriteRows<K>),
        name: &str,
        seal: &[u8],
        key: K::SelfType<'_>,
        value: &[u8],
    ) -> Result<(), StoreError>
    where
        K: Key + 'static,
        for<'k> K::SelfType<'k>: Clone,
    {
        let newer = target.read_row(key.clone(), |old| {
            Ok(is_newer(name, seal, value.into(), old))
        })?;
        if newer.unwrap_or(true) {
            target.write_row(key, value)?;
        }
        Ok(())
    }
    let number = || key.try_into().ok().map(u64::from_be_bytes);
    let text = || std::str::from_utf8(key).ok();
    macro_rules! number {
        ($target:expr) => {
            match number() {
                Some(number) => into(&mut $target, table, key, number, value),
                None => Ok(()),
            }
        };
    }
    macro_rules! text {
        ($target:expr) => {
            match text() {
                Some(text) => into(&mut $target, table, key, text, value),
                None => Ok(()),
            }
        };
    }
    match table {
        "event_to_headers" => match key.try_into() {
            Ok(bytes) => into(&mut tables.events, table, key, bytes, value),
            Err(_) => Ok(()),
        },
        "object_and_event_to_versions" => match key.try_into() {
            Ok(bytes) => into(&mut tables.versions, table, key, bytes, value),
            Err(_) => Ok(()),
        },
        "base_to_body" => number!(tables.bases),
        "dictionary_to_bytes" => number!(tables.dictionaries),
        "journal" => number!(tables.journal),
        "id_to_incarnation" => number!(tables.incarnations),
        "number_to_pod" => number!(tables.pods),
        "run_to_row" => number!(tables.runs),
        "gap_to_row" => number!(tables.gaps),
        "kind_id_to_kind" => number!(tables.kinds),
        "object_to_row" => into(&mut tables.objects, table, key, key, value),
        "uid_to_owner" => into(&mut tables.owners, table, key, key, value),
        "uid_to_wanted_owner" => text!(tables.wanted),
        "kind_to_watch" => text!(tables.watches),
        // The new store has its own schema version and application.
        "meta" if meta::is_kept_by_salvage(key) => text!(tables.meta),
        _ => Ok(()),
    }
}
