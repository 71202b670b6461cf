//! Whether two subjects hold the same: a digest over rows with their places in time.

use serde::{Deserialize, Serialize};

use crate::change::Row;

/// A sum over the blake3 of every row (time, number, action, body), so that rows may be added in any order: a subject that
/// is read object by object gives the same as one that is read in time order. The place of a row in time is part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Rows added.
    pub rows: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    sum: [u64; 4],
}

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, row: &Row<'_>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&row.at_us.to_be_bytes());
        hasher.update(&row.seq.to_be_bytes());
        hasher.update(&[u8::from(row.deleted)]);
        hasher.update(row.body);
        let hash = hasher.finalize();
        for (sum, part) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let part: [u8; 8] = part.try_into().unwrap_or_default();
            *sum = sum.wrapping_add(u64::from_be_bytes(part));
        }
        self.rows += 1;
        self.body_bytes += row.body.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    //! Guards the comparison: a digest that overlooks a difference would let a subject lose rows unnoticed.
    use super::*;

    const ROW: Row<'_> = Row {
        at_us: 1,
        seq: 2,
        deleted: false,
        body: b"body",
    };

    fn digest(rows: &[Row<'_>]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn the_order_of_reading_does_not_matter_and_everything_else_does() {
        let other = Row { seq: 3, ..ROW };
        let both = digest(&[ROW, other]);
        assert_eq!(both, digest(&[other, ROW]));
        for changed in [
            Row { at_us: 2, ..ROW },
            Row { seq: 4, ..ROW },
            Row {
                deleted: true,
                ..ROW
            },
            Row {
                body: b"bodz",
                ..ROW
            },
        ] {
            assert_ne!(both, digest(&[changed, other]), "{changed:?}");
        }
        assert_ne!(both, digest(&[ROW]));
        assert_ne!(both, digest(&[ROW, ROW]));
    }
}
