//! A store with a limit, packed and with its pages kept for copies, as a recorder has it: the file stays below the limit,
//! most of what fits is kept, and when less is recorded again, pages are kept for copies again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sk_tracedb::allocated_bytes;
use sk_tracedb::ingest::{Effort, RetentionStats};
use sk_tracedb::store::{CopyGrace, CopyGraceOptions, CopyGraceStats};

use crate::flat::{Noise, limited};
use crate::support::*;

const LIMIT_BYTES: u64 = 24 << 20;
/// Of many changes, then of few.
const BUSY_SECONDS: i64 = 1_000;
const CALM_SECONDS: i64 = 1_200;
const MAPS: i64 = 100;
const CHANGES_A_SECOND: i64 = 40;
/// Of text that compresses to three quarters.
const MAP_BYTES: usize = 1_000;
/// Of dropping, and of packing: a fifth of a second, each 20 ms at most.
const PIECES_A_SECOND: u32 = 8;
const GRACE: Duration = Duration::from_secs(60);

#[test]
fn a_store_with_a_limit_keeps_its_pages_for_copies_and_most_of_what_fits() {
    let (mut recorder, policy, retention) = limited(LIMIT_BYTES);
    let path = recorder.path();
    let stats = RetentionStats::default();
    let copy_stats = Arc::new(CopyGraceStats::default());
    let mut retention = retention.beside(Arc::clone(&copy_stats));
    let mut grace = CopyGrace::new(
        recorder.writer().reader(),
        CopyGraceOptions {
            grace: GRACE,
            allocated_bytes_max: policy.copies_bytes_max(),
            full_bytes: policy.full_bytes(),
            free_bytes_min: 0,
        },
        Arc::clone(&copy_stats),
    );
    let interval = grace.interval().unwrap().as_secs() as i64;
    let effort = Effort {
        rows: 16_384,
        time: Duration::from_millis(20),
    };
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let (mut peak, mut least, mut changes, mut held) = (0, i64::MAX, 0, 0);
    for second in 0..BUSY_SECONDS + CALM_SECONDS {
        let now = s(1_000 + second);
        let busy = second < BUSY_SECONDS;
        let batch = (0..if busy { CHANGES_A_SECOND } else { 1 }).map(|_| {
            changes += 1;
            let n = changes % MAPS;
            let map = obj("v1.ConfigMap", &format!("ns/map-{n}"), &format!("map-{n}"));
            let text = json!({"text": noise.text(MAP_BYTES)});
            (now, map.field("data", text).applied())
        });
        recorder.batch(batch.collect::<Vec<_>>());
        // As many pieces as a recorder allows itself in a second, or fewer.
        for _ in 0..PIECES_A_SECOND {
            let wait = retention.step(recorder.writer(), now, &stats).unwrap();
            let packs = recorder.writer().is_packing_due() && !retention.holds_packing(now);
            if packs {
                recorder.writer().pack(effort).unwrap();
            }
            if !packs && !wait.is_zero() {
                break;
            }
        }
        if second % interval == 0 {
            grace.tick(Duration::from_secs(second as u64)).unwrap();
        }
        peak = peak.max(allocated_bytes(&path).unwrap());
        if !busy && copy_stats.pins.load(Ordering::Relaxed) > 0 {
            held += 1;
        }
        if second >= BUSY_SECONDS / 2 {
            let horizon = recorder.writer().horizon().first_second();
            least = least.min(now.as_seconds() - horizon.as_seconds());
        }
    }
    println!(
        "peak {peak}, {held} of {CALM_SECONDS} calm seconds with pins, at least {least} s are kept"
    );
    assert!(peak <= LIMIT_BYTES, "the file took {peak} bytes");
    // 40 kB a second: 370 s of them fit into what a full file may have in use.
    assert!(least >= 120, "only {least} s were kept at some time");
    // After the longest rest there are pins, and they are given up again when something is dropped.
    assert!(
        held >= CALM_SECONDS / 10,
        "pages were kept for copies in {held} s only"
    );
    assert!(copy_stats.given_up.load(Ordering::Relaxed) > 0);
}
