//! Lifecycles and the ways to them, on rows that are written by hand.

use crate::model::Uid;
use crate::store::rows::{PodRow, PodTimes, UidBytes, WriterRow};
use crate::store::tables::{WriteTables, put};
use crate::store::{Store, WRITER, keys, pod_index, verify};

fn pod(uid: &Uid, gone: bool) -> PodRow {
    PodRow {
        uid: UidBytes::from(uid),
        namespace: "ns".to_owned(),
        name: "web-0".to_owned(),
        spec_hash: 1,
        owners: Vec::new(),
        given_owner: None,
        object: None,
        times: PodTimes {
            start_us: Some(1),
            end_us: Some(2),
            ..PodTimes::default()
        },
        gone,
    }
}

/// Writes a store with one pod and what belongs to it, and then what `spoil` does. Returns what is found wrong.
fn found(gone: bool, spoil: impl FnOnce(&mut WriteTables<'_>)) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.redb");
    let store = Store::create(&path).unwrap();
    let txn = store.begin_write().unwrap();
    {
        let mut tables = WriteTables::open(&txn).unwrap();
        let uid = Uid("pod-1".to_owned());
        let pod = pod(&uid, gone);
        put(&mut tables.pods, 1, &pod).unwrap();
        pod_index::list(&mut tables, 1, &pod).unwrap();
        let writer = WriterRow {
            pods: 1,
            last_pod: 1,
            ..WriterRow::default()
        };
        put(&mut tables.meta, WRITER, &writer).unwrap();
        spoil(&mut tables);
    }
    txn.commit().unwrap();
    store.close().unwrap();
    let verified = verify(&path, &mut |_| true).unwrap();
    let told = verified.findings.iter().map(|found| found.what.clone());
    told.collect()
}

#[test]
fn a_pod_is_found_by_its_uid_and_by_its_name_until_it_is_gone() {
    let uid = Uid("pod-1".to_owned());
    let name = keys::pod_name("ns", "web-0", 1);
    assert_eq!(found(true, |_| {}), [""; 0]);
    assert_eq!(found(false, |_| {}), [""; 0]);
    let unfound = found(true, |tables| {
        let index = keys::pod_uid(&uid, 1);
        assert!(tables.pod_uids.remove(index.as_slice()).unwrap());
    });
    assert_eq!(unfound, ["ns/web-0 is not found by its UID"]);
    let unnamed = ["ns/web-0 is listed by its name and gone, or neither"];
    let gone = found(true, |tables| tables.pod_names.insert(&name, &[]).unwrap());
    assert_eq!(gone, unnamed);
    let there = found(false, |tables| {
        assert!(tables.pod_names.remove(name.as_slice()).unwrap());
    });
    assert_eq!(there, unnamed);
    let of_none = found(true, |tables| {
        let index = keys::pod_uid(&uid, 2);
        tables.pod_uids.insert(&index, &[]).unwrap();
    });
    assert_eq!(of_none, ["there are 2 entries of 1 pods"]);
    let not_given = found(true, |tables| {
        let writer = WriterRow {
            pods: 1,
            ..WriterRow::default()
        };
        put(&mut tables.meta, WRITER, &writer).unwrap();
    });
    assert_eq!(not_given, ["ns/web-0 has a number that was not given"]);
}
