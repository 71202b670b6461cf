//! Objects, their histories and the lists of epochs.

use super::record::{CHANGED, DELETED, Record, key, names};
use crate::model::ObjectKey;
use crate::store::codec::{Row, hex};
use crate::store::keys;
use crate::store::rows::{EpochRow, IncarnationRow, ObjectRow, PodRow};
use crate::store::tables::{get, put};

fn row_key(name: &str, id: u64) -> Vec<u8> {
    keys::object(&ObjectKey::new("", "ConfigMap", "ns", name), id)
}

#[test]
fn a_row_that_does_not_agree_with_its_history() {
    let spoils: [fn(&mut ObjectRow); 5] = [
        |row| row.live = !row.live,
        |row| row.last_seq += 10,
        |row| row.change_hash = row.change_hash.xor(Some([7; 16])),
        |row| row.kind += 1,
        |row| row.uid = None,
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        for (name, id) in [("large", 3), ("deleted", DELETED)] {
            // After retention the deleted one is gone.
            for dropped in [false, true] {
                let record = match (dropped, id) {
                    (false, _) => Record::new(),
                    (true, DELETED) => continue,
                    (true, _) => Record::dropped_before(6),
                };
                let name = row_key(name, id);
                let found = record.spoiled(|tables| {
                    let mut row: ObjectRow =
                        get(&tables.objects, name.as_slice()).unwrap().unwrap();
                    spoil(&mut row);
                    put(&mut tables.objects, name.as_slice(), &row).unwrap();
                });
                assert!(
                    names(&found, ObjectRow::TABLE, &hex(&name), ""),
                    "{n}, {id}, {dropped}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn an_object_without_its_row() {
    let found = Record::new().spoiled(|tables| {
        let name = row_key("changed", CHANGED);
        assert!(tables.objects.remove(name.as_slice()).unwrap());
    });
    let what = "has no row in object_to_row";
    assert!(
        names(&found, IncarnationRow::TABLE, &key(CHANGED), what),
        "{found:?}"
    );
}

#[test]
fn an_object_that_its_epoch_does_not_list() {
    for id in [CHANGED, DELETED] {
        let found = Record::new().spoiled(|tables| {
            let entry = keys::epoch_object(0, list_kind(tables), id);
            assert!(tables.alive.remove(entry.as_slice()).unwrap());
        });
        let what = "was alive in epoch 0 and is not listed in it";
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            names(&found, IncarnationRow::TABLE, &key(id), what),
            "{found:?}"
        );
    }
}

/// The number under which the lists have the one kind that there is.
fn list_kind(tables: &crate::store::WriteTables<'_>) -> u32 {
    let kinds = crate::store::read_kinds(&tables.kinds).unwrap();
    crate::store::rows::identity_kind(&kinds, "", "ConfigMap").unwrap()
}

#[test]
fn lists_that_name_what_is_not_there() {
    let objects = keys::epoch_object(0, 1, 99);
    let found = Record::new().spoiled(|tables| tables.alive.insert(&objects, &[]).unwrap());
    let table = "epoch_and_object_to_unit";
    assert!(
        names(&found, table, &hex(&objects), "there is no object 99"),
        "{found:?}"
    );
    let pods = keys::epoch_pod(0, 99);
    let found = Record::new().spoiled(|tables| tables.alive_pods.insert(&pods, &[]).unwrap());
    let table = "epoch_and_pod_to_unit";
    assert!(
        names(&found, table, &hex(&pods), "there is no pod 99"),
        "{found:?}"
    );
}

/// How it is when a recorder stops while it makes the next epoch.
#[test]
fn lists_of_an_epoch_that_has_not_begun() {
    for (epoch, is_wrong) in [(1, false), (2, true), (u64::MAX, true)] {
        let mut entries = Vec::new();
        let found = Record::new().spoiled(|tables| {
            let object = keys::epoch_object(epoch, list_kind(tables), CHANGED);
            tables.alive.insert(&object, &[]).unwrap();
            let pod = keys::epoch_pod(epoch, 1);
            tables.alive_pods.insert(&pod, &[]).unwrap();
            entries = vec![
                ("epoch_and_object_to_unit", object),
                ("epoch_and_pod_to_unit", pod),
            ];
        });
        for (table, entry) in entries {
            let what = "of an epoch behind the next one";
            let is_found = names(&found, table, &hex(&entry), what);
            assert_eq!(is_found, is_wrong, "{epoch} {table}: {found:?}");
        }
        assert_eq!(found.len(), if is_wrong { 2 } else { 0 }, "{found:?}");
    }
}

#[test]
fn a_pod_that_its_epoch_does_not_list() {
    let found = Record::new().spoiled(|tables| {
        let entry = keys::epoch_pod(0, 1);
        assert!(tables.alive_pods.remove(entry.as_slice()).unwrap());
    });
    let what = "has not ended and is not listed in the current epoch";
    assert!(names(&found, PodRow::TABLE, &key(1), what), "{found:?}");
}

#[test]
fn an_epoch_without_its_row() {
    let found = Record::new().spoiled(|tables| {
        assert!(tables.epochs.remove(0).unwrap().is_some());
    });
    assert!(
        names(&found, EpochRow::TABLE, &key(0), "has no row"),
        "{found:?}"
    );
}
