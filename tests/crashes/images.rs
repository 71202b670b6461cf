//! Power lost at every sync: what the disk may hold then is everything that was synced before, and any part of what was
//! not.

use sk_tracedb::ingest::Writer;

use crate::batches::{Rng, Told, batches, begin, steps, told, verify_whole};
use crate::faulty::{Faulty, Op};
use crate::support::s;

const BATCHES: usize = 16;
/// One in so many images is verified as a whole, row by row; all of them are opened, exported from and recorded into.
const VERIFIED_EVERY: usize = 1;
const SECTOR_BYTES: usize = 512;
/// Random choices of what reached the disk, for each sync.
const RANDOM_IMAGES: usize = 4;

/// A batch is recorded, or nothing of it: after each sync, with none, all and random parts of the unsynced writes in the
/// file, and with writes torn between sectors.
#[test]
fn power_lost_at_any_sync_loses_nothing_acknowledged_and_shows_nothing_half_written() {
    let steps = steps(BATCHES, 1, 40_000);
    let storage = Faulty::new_store();
    let start = storage.image();
    storage.start_log();
    let mut writer = Writer::new(storage.open().unwrap()).unwrap();
    // What is told after so many steps.
    let mut expected = vec![told(&writer.reader())];
    for (n, step) in (1..).zip(&steps) {
        storage.log(Op::Begun(n));
        step.run(&mut writer).unwrap();
        storage.log(Op::Acknowledged(n));
        let told = told(&writer.reader());
        assert_eq!(expected[n - 1] != told, step.is_told(), "step {n}");
        expected.push(told);
    }
    writer.into_store().close().unwrap();

    let mut judge = Judge {
        expected,
        acknowledged: 0,
        begun: 0,
        images: 0,
        verified: 0,
        ahead: 0,
    };
    let mut rng = Rng(2);
    let mut synced = start;
    let mut unsynced: Vec<Op> = Vec::new();
    let mut syncs = 0;
    for op in storage.take_log() {
        match op {
            Op::Begun(n) => judge.begun = n,
            Op::Acknowledged(n) => judge.acknowledged = n,
            Op::Sync => {
                syncs += 1;
                judge.check_all(&synced, &unsynced, &mut rng);
                for op in unsynced.drain(..) {
                    apply(&mut synced, &op);
                }
            }
            op => unsynced.push(op),
        }
    }
    judge.check_all(&synced, &unsynced, &mut rng);
    println!(
        "{syncs} syncs, {} images, {} of them verified as a whole, {} with a step that had not been acknowledged",
        judge.images, judge.verified, judge.ahead
    );
    // Two syncs a commit at least.
    assert!(syncs >= 2 * steps.len(), "{syncs} syncs");
    assert!(judge.ahead > 0, "no image caught a commit on its way");
}

struct Judge {
    expected: Vec<Told>,
    acknowledged: usize,
    begun: usize,
    images: usize,
    verified: usize,
    ahead: usize,
}

impl Judge {
    fn check_all(&mut self, synced: &[u8], unsynced: &[Op], rng: &mut Rng) {
        let with = |choose: &mut dyn FnMut(&Op) -> Option<Op>| {
            let mut image = synced.to_vec();
            for op in unsynced.iter().filter_map(choose) {
                apply(&mut image, &op);
            }
            image
        };
        self.check(&with(&mut |_| None));
        self.check(&with(&mut |op| Some(op.clone())));
        // Disks write in any order, sector by sector.
        for _ in 0..RANDOM_IMAGES {
            self.check(&with(&mut |op| (rng.below(2) == 0).then(|| torn(op, rng))));
        }
        // A prefix, the last write of which is torn.
        if !unsynced.is_empty() {
            let last = rng.below(unsynced.len() as u64) as usize;
            let mut at = 0;
            self.check(&with(&mut |op| {
                at += 1;
                match (at - 1).cmp(&last) {
                    std::cmp::Ordering::Less => Some(op.clone()),
                    std::cmp::Ordering::Equal => Some(torn(op, rng)),
                    std::cmp::Ordering::Greater => None,
                }
            }));
        }
    }

    fn check(&mut self, image: &[u8]) {
        self.images += 1;
        let storage = Faulty::of(image);
        if self.images.is_multiple_of(VERIFIED_EVERY) {
            self.verified += 1;
            verify_whole(storage.path(), &format!("image {}", self.images));
        }
        let store = storage.open().unwrap();
        let found = told(&store.reader());
        let (acknowledged, begun) = (self.acknowledged, self.begun);
        let expected = &self.expected[acknowledged..=begun];
        let Some(place) = expected.iter().position(|expected| *expected == found) else {
            panic!(
                "after {acknowledged} of {begun} steps the store tells {found:?}, expected {expected:?}"
            );
        };
        self.ahead += usize::from(place > 0);
        // The record can be gone on with.
        let mut writer = Writer::new(store).unwrap();
        begin(&mut writer).unwrap();
        let next = batches(1, 99, 100).remove(0);
        writer
            .append(next.into_iter().map(|(_, seen)| (s(2_000), seen)))
            .unwrap();
        if self.images.is_multiple_of(VERIFIED_EVERY) {
            writer.into_store().close().unwrap();
            verify_whole(
                storage.path(),
                &format!("image {}, gone on with", self.images),
            );
        }
    }
}

/// A part of a write: sectors up to some place in it, or from there on.
fn torn(op: &Op, rng: &mut Rng) -> Op {
    match op {
        Op::Write(offset, data) if data.len() > SECTOR_BYTES => {
            let cut = rng.below((data.len() / SECTOR_BYTES) as u64 + 1) as usize * SECTOR_BYTES;
            if rng.below(2) == 0 {
                Op::Write(*offset, data[..cut].to_vec())
            } else {
                Op::Write(offset + cut as u64, data[cut..].to_vec())
            }
        }
        op => op.clone(),
    }
}

fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(offset, data) => {
            let end = *offset as usize + data.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*offset as usize..end].copy_from_slice(data);
        }
        Op::SetLen(len) => image.resize(*len as usize, 0),
        Op::Sync | Op::Begun(_) | Op::Acknowledged(_) => {}
    }
}
