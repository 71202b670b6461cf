//! Guards against an object that is told with another one's body, in another place, twice or not at all.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::Timestamp;
use crate::query::recorded::recorded;

/// What was alive, object by object and put in order.
fn expected(snapshot: &Snapshot, end: EventKey) -> Vec<ObjectVersion> {
    let tables = snapshot.tables();
    let mut all: Vec<_> = snapshot
        .alive_before(end..end, |_| true)
        .unwrap()
        .map(|alive| {
            let alive = alive.unwrap();
            let row = tables.incarnation(alive.id).unwrap().unwrap();
            ObjectVersion {
                gvk: snapshot.gvk(alive.version.kind).unwrap(),
                key: row.key,
                uid: row.uid,
                event: alive.version.event,
                body: snapshot.body(alive.id, alive.version.event).unwrap(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

fn times(snapshot: &Snapshot) -> Vec<Timestamp> {
    let (first, last) = snapshot.extent().unwrap();
    let part = (last.as_micros() - first.as_micros()) / 4;
    let mut times: Vec<_> = (0..5).map(|n| first.plus_micros(n * part)).collect();
    times.extend([first.plus_micros(-1), last]);
    times
}

#[tokio::test]
async fn the_state_is_what_was_alive_whatever_is_read_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let reader = recorded(folder.path(), 1_000, 3_000).await;
    let snapshot = reader.snapshot().unwrap();
    let (mut largest, mut left) = (0, 0);
    for at in times(&snapshot) {
        let end = snapshot.end_of(at).unwrap();
        let expected = expected(&snapshot, end);
        largest = largest.max(expected.len());
        for (versions_bytes, bodies_bytes) in [
            (STATE_VERSIONS_BYTES_MAX, STATE_BODIES_BYTES_MAX),
            (30_000, 10_000),
            (0, 0),
        ] {
            let mut state = StateAhead::new(&snapshot, end, Reads::Bodies, |_| true, Ok).unwrap();
            state.reading.versions_bytes = versions_bytes;
            state.bodies_bytes = bodies_bytes;
            let mut told = Vec::new();
            while let Some(version) = state.next() {
                told.push(version.unwrap());
                let rest = state.told.as_slice().iter().flatten();
                let held: usize = rest.map(|version| version.body.len()).sum();
                assert!(held <= bodies_bytes, "{held}");
                let rest = state.alive.as_slice();
                let held: usize = rest.iter().map(Alive::memory_bytes).sum();
                assert!(held <= versions_bytes, "{held}");
                let is_left = |alive: &&Alive| matches!(alive.read, Some(Ok(Found::Header(_))));
                left += rest.iter().filter(is_left).count();
            }
            assert_eq!(told, expected, "{at} {versions_bytes}");
        }
    }
    assert!(
        largest > 2 * STATE_OBJECTS_AHEAD_MIN && left > 0,
        "{largest} {left}"
    );
}

#[tokio::test]
async fn what_is_not_wanted_is_left_out_and_headers_have_no_bodies() {
    let folder = tempfile::tempdir().unwrap();
    let reader = recorded(folder.path(), 1_000, 3_000).await;
    let snapshot = reader.snapshot().unwrap();
    let (_, last) = snapshot.extent().unwrap();
    let wanted = |key: &ObjectKey| key.kind == "Pod" && key.name.ends_with('1');
    let mut some = expected(&snapshot, snapshot.end_of(last).unwrap());
    let all = some.len();
    some.retain(|version| wanted(&version.key));
    assert!(!some.is_empty() && some.len() < all);
    let told = snapshot.state_of(last, wanted).unwrap();
    assert_eq!(told.map(Result::unwrap).collect::<Vec<_>>(), some);
    for version in &mut some {
        version.body.clear();
    }
    let told = snapshot.headers_of(last, wanted).unwrap();
    assert_eq!(told.map(Result::unwrap).collect::<Vec<_>>(), some);
}
