//! Tables of two parts. Rows are written to a plain redb table, the *hot* part. Those that are not expected to change any
//! more move to the *packed* part later, where many rows that follow each other share one compressed row, a *chunk*: a
//! pod that is over takes a tenth of what its rows took.
//!
//! A reader sees one table: a row of the hot part stands for what the packed part has under the same key, and a
//! [`TOMBSTONE`] in the hot part says that there is none. So every row can be written, changed and removed at any time,
//! wherever it lies; only [`filling`] writes chunks. A move is part of one transaction, so a row is never in neither part.
//! Before either part comes what the journal says of a row ([`super::journal`]).
//!
//! [`chunk`] has the bytes, [`cache`] keeps some decompressed, [`read`] reads both parts as one, [`write`] is the writer's view, [`loose`] has the rows that are not
//! packed, [`moving`] packs them, [`filling`] makes chunks of them, [`prefixes`] spares the writer looks for what is not there.

mod cache;
pub(crate) mod chunk;
mod filling;
mod key;
mod loose;
mod moving;
mod part;
mod prefixes;
mod range;
mod read;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(in crate::store) mod tests;
mod write;

pub(crate) use filling::Packer;
pub(crate) use key::{KeyBytes, RowKey};
pub(crate) use loose::Edited;
pub(crate) use moving::{Moved, Settled};
pub(crate) use prefixes::{Prefix, Prefixes};
pub(crate) use read::{PackedRead, Rows};
pub(crate) use write::PackedWrite;
pub(crate) use write::{FoldedMost, FoldedRows};

/// In the hot part: no row has this key, whatever the packed part says. No row is like it: rows are sealed, or empty.
pub(crate) const TOMBSTONE: &[u8] = &[0];

/// What a table of two parts is called, and whether its rows are sealed or nothing but keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Name of the hot part, under which its rows are sealed wherever they lie.
    pub(crate) hot: &'static str,
    /// Name of the packed part, under which its chunks are sealed.
    pub(crate) packed: &'static str,
    /// Its rows are sealed; else they are lists of keys.
    pub(crate) sealed: bool,
    /// Its place among the tables of two parts, by which the journal knows it in memory.
    pub(crate) number: usize,
    /// The part of its keys that is looked for.
    pub(crate) prefix: Prefix,
}
