//! Damage to files, repeatable.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const PAGE: u64 = 4096;

/// Numbers that look random and are the same each time (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// One flipped bit, one truncation or one zeroed page. A third of them in the first pages, where they hurt most.
pub fn damage(path: &Path, random: &mut Random) -> String {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let reach = if random.below(3) == 0 {
        length.min(4 * PAGE)
    } else {
        length
    };
    let offset = random.below(reach);
    match random.below(3) {
        0 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            let bit = random.below(8);
            file.write_all_at(&[byte[0] ^ (1 << bit)], offset).unwrap();
            format!("bit {bit} of byte {offset} flipped")
        }
        1 => {
            file.set_len(offset).unwrap();
            format!("cut off at {offset}")
        }
        _ => {
            let page = offset / PAGE * PAGE;
            let zeros = vec![0; PAGE.min(length - page) as usize];
            file.write_all_at(&zeros, page).unwrap();
            format!("page at {page} zeroed")
        }
    }
}
