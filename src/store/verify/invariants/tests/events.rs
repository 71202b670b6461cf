//! Events, versions and bodies.

use super::record::{CHANGED, CHANGES, LARGE, Record, event, key, names};
use crate::store::codec::hex;
use crate::store::rows::WriterRow;
use crate::store::tables::{get, put};
use crate::store::versions::{self, base};
use crate::store::{WRITER, headers, keys};

fn records() -> [Record; 2] {
    [Record::new(), Record::dropped_before(4)]
}

#[test]
fn an_event_without_its_version() {
    for record in records() {
        let group = keys::history(CHANGED, event(1));
        let found = record.spoiled(|tables| {
            // Its versions share one row.
            assert!(tables.versions.remove(&group).unwrap());
        });
        for n in [4, 7] {
            let name = hex(&keys::history(CHANGED, event(n)));
            let what = "the version is missing";
            assert!(names(&found, versions::TABLE, &name, what), "{found:?}");
        }
    }
}

#[test]
fn a_version_without_its_event() {
    for (record, first) in records().into_iter().zip([1, 4]) {
        let found = record.spoiled(|tables| {
            // All headers are in one chunk.
            let chunk = keys::event(event(1));
            assert!(tables.events.remove(&chunk).unwrap().is_some());
        });
        let what = "no header tells of this version";
        let name = hex(&keys::history(LARGE, event(6)));
        assert!(names(&found, versions::TABLE, &name, what), "{found:?}");
        let unheard = found.iter().filter(|found| found.what == what).count();
        assert_eq!(unheard as u64, CHANGES + 1 - first, "{found:?}");
        let counted = format!("there are 0 changes, {} are counted", CHANGES + 1 - first);
        assert!(
            names(&found, "meta", &hex(b"writer"), &counted),
            "{found:?}"
        );
    }
}

#[test]
fn changes_that_are_miscounted() {
    for record in records() {
        let found = record.spoiled(|tables| {
            let mut writer: WriterRow = get(&tables.meta, WRITER).unwrap().unwrap();
            writer.changes += 1;
            put(&mut tables.meta, WRITER, &writer).unwrap();
        });
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(names(&found, "meta", &hex(b"writer"), "are counted"));
        let found = Record::new().spoiled(|tables| {
            let mut writer: WriterRow = get(&tables.meta, WRITER).unwrap().unwrap();
            writer.last_seq -= 1;
            put(&mut tables.meta, WRITER, &writer).unwrap();
        });
        let what = "but the last one given is";
        assert!(names(&found, "meta", &hex(b"writer"), what), "{found:?}");
    }
}

#[test]
fn an_event_of_no_object() {
    let found = Record::new().spoiled(|tables| {
        assert!(tables.incarnations.remove(LARGE).unwrap());
    });
    let name = hex(&keys::event(event(6)));
    let what = format!("there is no object {LARGE}");
    assert!(names(&found, headers::TABLE, &name, &what), "{found:?}");
}

#[test]
fn a_keyframe_without_its_base() {
    for record in records() {
        let found = record.spoiled(|tables| assert!(tables.bases.remove(1).unwrap()));
        let what = "the base is missing";
        assert!(names(&found, base::TABLE, &key(1), what), "{found:?}");
    }
}

#[test]
fn a_base_that_is_miscounted() {
    let found = Record::new().spoiled(|tables| base::set_uses(tables, 1, 5).unwrap());
    let what = "1 groups refer to it, 5 are counted";
    assert!(names(&found, base::TABLE, &key(1), what), "{found:?}");
}
