//! X8: from a copy of the file comes the same trace, byte for byte.

use serde_json::json;
use sk_tracedb::Reader;
use sk_tracedb::export::ExportFilters;

use crate::support::recorder::export_of;
use crate::support::*;

fn recorder() -> Recorder {
    let mut recorder = Recorder::listed(config(&[
        "apps/v1.Deployment: {trackLifecycle: true}",
        "v1.ConfigMap: {}",
    ]));
    let web = obj("apps/v1.Deployment", "ns/web", "web").spec(json!({"replicas": 2}));
    recorder.see(s(101), web.applied());
    for n in 0..300 {
        let map = obj(
            "v1.ConfigMap",
            &format!("ns/map-{}", n % 40),
            &format!("m{}", n % 40),
        );
        recorder.see_all(
            s(102 + n / 10),
            [
                map.field("data", json!({"n": n})).applied(),
                pod(&format!("ns/p{n}"), &format!("p{n}"))
                    .owned_by(&web)
                    .started(102 + n / 10)
                    .applied(),
            ],
        );
    }
    recorder
}

fn bytes(reader: &Reader) -> Vec<Vec<u8>> {
    [(100, 200), (110, 120), (150, 151)]
        .map(|(start, end)| export_of(reader, window(start, end), ExportFilters::default()).bytes)
        .into()
}

#[test]
fn a_copy_of_a_closed_file_exports_the_same_bytes() {
    let mut recorder = recorder();
    let live = bytes(&recorder.reader());
    recorder.stop(s(140));
    let copy = recorder.folder().join("copy.redb");
    std::fs::copy(recorder.path(), &copy).unwrap();
    let before = std::fs::read(&copy).unwrap();
    assert!(live == bytes(&Reader::open(&copy).unwrap()));
    assert!(
        before == std::fs::read(&copy).unwrap(),
        "reading changed the copy"
    );
}

#[test]
fn a_copy_of_a_file_that_was_not_closed_exports_the_same_bytes() {
    let recorder = recorder();
    let live = bytes(&recorder.reader());
    let copy = recorder.folder().join("copy.redb");
    // Nothing is being written at this moment, but the file is open and not closed cleanly.
    std::fs::copy(recorder.path(), &copy).unwrap();
    let before = std::fs::read(&copy).unwrap();
    assert!(live == bytes(&Reader::open(&copy).unwrap()));
    assert!(
        before == std::fs::read(&copy).unwrap(),
        "reading changed the copy"
    );
    // A copy that may not be written, as on a read-only volume.
    let mut permissions = std::fs::metadata(&copy).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&copy, permissions).unwrap();
    assert!(live == bytes(&Reader::open(&copy).unwrap()));
}

#[test]
fn another_reader_of_the_file_sees_the_same_while_it_is_written() {
    let mut recorder = recorder();
    let live = bytes(&recorder.reader());
    // The lock is the process's, so this process opens a copy; tests of the program read the very file.
    let copy = recorder.folder().join("copy.redb");
    std::fs::copy(recorder.path(), &copy).unwrap();
    recorder.see(s(190), obj("v1.ConfigMap", "ns/later", "later").applied());
    assert!(live == bytes(&Reader::open(&copy).unwrap()));
    assert!(live != bytes(&recorder.reader()));
}
