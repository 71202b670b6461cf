//! Leaf pages of redb's file format 3, read without a tree that leads to them.
//!
//! A leaf: `1 | 0 | number of pairs (u16) | [end of each key (u32)] | end of each value (u32) | keys | values`, numbers
//! little-endian, ends counted from the page's beginning; the ends of keys are there unless all keys have one length.
//! Leaves begin at multiples of 4 KiB and may be longer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::limits::SALVAGE_LEAF_BYTES_MAX;

/// Where leaves may begin, bytes.
pub(super) const PAGE_BYTES: usize = 4_096;
/// First byte of a leaf.
const LEAF: u8 = 1;

/// Lengths of keys in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Fixed(usize),
    Variable,
}

/// Reads what may be a leaf at `offset`; `None` where there is none.
pub(super) fn read(file: &File, offset: u64, page: &mut Vec<u8>) -> io::Result<Option<()>> {
    page.resize(PAGE_BYTES, 0);
    let got = read_at_most(file, offset, page)?;
    page.truncate(got);
    if page.first() != Some(&LEAF) || page.len() < 4 {
        return Ok(None);
    }
    // The last end of a value is the length of the leaf, under either reading of its ends.
    let longest = [Keys::Fixed(8), Keys::Variable]
        .into_iter()
        .filter_map(|keys| length(page, keys))
        .filter(|length| *length <= SALVAGE_LEAF_BYTES_MAX)
        .max()
        .unwrap_or_default();
    if longest > page.len() {
        page.resize(longest, 0);
        let got = read_at_most(file, offset, page)?;
        page.truncate(got);
    }
    Ok(Some(()))
}

fn read_at_most(file: &File, offset: u64, out: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = out.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn u32_at(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

fn pairs(page: &[u8]) -> Option<usize> {
    let count = page.get(2..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_le_bytes(*count)))
}

/// Where the ends of values begin, and where the keys do.
fn sections(count: usize, keys: Keys) -> (usize, usize) {
    match keys {
        Keys::Fixed(_) => (4, 4 + 4 * count),
        Keys::Variable => (4 + 4 * count, 4 + 8 * count),
    }
}

fn length(page: &[u8], keys: Keys) -> Option<usize> {
    let count = pairs(page)?;
    let (values, _) = sections(count, keys);
    u32_at(page, values + 4 * count.checked_sub(1)?)
}

/// The pairs of a leaf, if its ends make sense for keys of this kind.
pub(super) fn entries(page: &[u8], keys: Keys) -> Vec<(&[u8], &[u8])> {
    let Some(count) = pairs(page) else {
        return Vec::new();
    };
    let (value_ends, mut key_from) = sections(count, keys);
    let key_end = |n: usize| match keys {
        Keys::Fixed(length) => Some(key_from + length * (n + 1)),
        Keys::Variable => u32_at(page, 4 + 4 * n),
    };
    let mut key_ends = Vec::with_capacity(count);
    for n in 0..count {
        match key_end(n) {
            Some(end) if end <= page.len() => key_ends.push(end),
            _ => return Vec::new(),
        }
    }
    let Some(mut value_from) = key_ends.last().copied() else {
        return Vec::new();
    };
    let mut entries = Vec::with_capacity(count);
    for (n, key_end) in key_ends.into_iter().enumerate() {
        let pair = u32_at(page, value_ends + 4 * n).and_then(|value_end| {
            let key = page.get(key_from..key_end)?;
            let value = page.get(value_from..value_end)?;
            Some((key, value, value_end))
        });
        // One damaged end spoils the pairs behind it; seals tell which those are.
        let Some((key, value, value_end)) = pair else {
            break;
        };
        entries.push((key, value));
        (key_from, value_from) = (key_end, value_end);
    }
    entries
}
