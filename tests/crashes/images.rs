//! Power lost at every sync: what the disk may hold then is everything that was synced before, and any part of what was
//! not.

use sk_tracedb::ingest::Writer;

use crate::batches::{Rng, Told, batches, begin, told};
use crate::faulty::{Faulty, Op};
use crate::support::s;

const SECTOR_BYTES: usize = 512;
/// Random choices of what reached the disk, for each sync.
const RANDOM_IMAGES: usize = 4;

/// A batch is recorded, or nothing of it: after each sync, with none, all and random parts of the unsynced writes in the
/// file, and with writes torn between sectors.
#[test]
fn power_lost_at_any_sync_loses_nothing_acknowledged_and_shows_nothing_half_written() {
    let batches = batches(10, 1, 40_000);
    let storage = Faulty::new_store();
    let start = storage.image();
    storage.start_log();
    let mut writer = Writer::new(storage.open().unwrap()).unwrap();
    // What is told after so many commits: none, the begun run, and each batch.
    let mut expected = vec![told(&writer.reader())];
    storage.log(Op::Begun(1));
    begin(&mut writer).unwrap();
    storage.log(Op::Acknowledged(1));
    expected.push(told(&writer.reader()));
    for (n, batch) in batches.iter().enumerate() {
        storage.log(Op::Begun(n + 2));
        writer.append(batch.clone()).unwrap();
        storage.log(Op::Acknowledged(n + 2));
        expected.push(told(&writer.reader()));
    }
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]));
    writer.into_store().close().unwrap();

    let mut judge = Judge {
        expected,
        acknowledged: 0,
        begun: 0,
        images: 0,
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
        "{syncs} syncs, {} images, {} of them with a batch that had not been acknowledged",
        judge.images, judge.ahead
    );
    // Two syncs a commit at least.
    assert!(syncs >= 2 * batches.len(), "{syncs} syncs");
    assert!(judge.ahead > 0, "no image caught a commit on its way");
}

struct Judge {
    expected: Vec<Told>,
    acknowledged: usize,
    begun: usize,
    images: usize,
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
        let store = Faulty::of(image).open().unwrap();
        let found = told(&store.reader());
        let (acknowledged, begun) = (self.acknowledged, self.begun);
        let expected = &self.expected[acknowledged..=begun];
        let Some(place) = expected.iter().position(|expected| *expected == found) else {
            panic!(
                "after {acknowledged} of {begun} commits the store tells {found:?}, expected {expected:?}"
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
