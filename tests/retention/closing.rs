//! A store with a limit that is told as much as its writer can take, and then closed: its file must stay below the limit,
//! however little time fits into it, and what is packed last must not make it grow beyond.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sk_tracedb::allocated_bytes;
use sk_tracedb::model::MICROS_PER_SECOND;

use crate::flat::{self, Noise};
use crate::running::Running;

const LIMIT_BYTES: u64 = 16 << 20;
const TURNS: i64 = 150;

#[test]
fn a_store_with_a_limit_is_closed_below_it() {
    tell(10);
}

/// The last 60 s take more than that; the last 10 s do not.
#[test]
fn a_limit_into_which_a_minute_does_not_fit_holds() {
    tell(2);
}

fn tell(seconds_a_turn: i64) {
    let at = |turn: i64| flat::at(0).plus_micros(turn * seconds_a_turn * MICROS_PER_SECOND);
    let (mut recorder, _, retention) = flat::limited(LIMIT_BYTES);
    let path = recorder.path();
    let running = Running::start(recorder.take_writer(), retention, at(0));
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let mut peak = 0;
    for turn in 0..TURNS {
        running.clock.set(at(turn));
        for seen in flat::turn(turn, &mut noise) {
            running.tell(seen);
            peak = peak.max(allocated_bytes(&path).unwrap());
        }
    }
    let stats = Arc::clone(&running.stats);
    let writer = running.stop();
    let end = allocated_bytes(&path).unwrap();
    println!("peak {peak}, after it was closed {end}");
    assert!(stats.retention.changes.load(Ordering::SeqCst) > 1_000);
    assert!(
        peak >= LIMIT_BYTES / 2,
        "only {peak} bytes were taken: this tells nothing"
    );
    assert!(
        peak.max(end) <= LIMIT_BYTES,
        "{peak}, and {end} after it was closed"
    );
    recorder.put_writer(writer);
    assert_eq!(
        recorder.state(at(TURNS)).len() as i64,
        flat::LIFE * flat::MAPS
    );
}
