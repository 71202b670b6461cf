//! What changed and when, without the objects: the order of the record, packed into chunks of about a page.
//!
//! A chunk's key is its first event. Its payload is a list of headers, oldest first:
//! `flags | microseconds since the one before | [sequence numbers since the one before] | object id | [body length] |
//! [microseconds since which]`, numbers as varints. The first header of a chunk stands at the chunk's key and repeats
//! neither time nor number. Only the last chunk is ever written again, when headers are added to it.

use redb::ReadableTable;

use super::body::varint::{read_signed, read_varint, write_signed, write_varint};
use super::tables::{Tables, WriteTables};
use super::{StoreError, codec, keys};
use crate::limits::HEADER_CHUNK_BYTES;
use crate::model::{Action, EventKey, Timestamp};

/// Name of the table, for seals and messages.
pub(crate) const TABLE: &str = "event_to_headers";

const DELETED: u8 = 1;
const INITIAL: u8 = 2;
const INFERRED: u8 = 4;
/// The sequence number is not the next one after the header before.
const SKIPS: u8 = 8;

/// A change, without the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The object was deleted; else created or changed.
    pub deleted: bool,
    /// Object id.
    pub object: u64,
    /// Length of the body as MessagePack; 0 for a delete.
    pub body_len: u32,
    /// The change was inferred: it happened after this time and not later than the event's.
    pub since_us: Option<i64>,
    /// The object was there when its kind was listed for the first time: it was created at some time before.
    pub initial: bool,
}

impl Header {
    pub(crate) fn action(&self) -> Action {
        if self.deleted {
            Action::Delete
        } else {
            Action::Apply
        }
    }
}

/// The chunk that headers are added to. Kept by the writer from transaction to transaction.
#[derive(Debug, Default)]
pub(crate) struct HeaderLog {
    chunk: Option<Chunk>,
    /// The chunk has headers that the table does not have.
    dirty: bool,
}

#[derive(Debug)]
struct Chunk {
    first: EventKey,
    last: EventKey,
    payload: Vec<u8>,
}

impl HeaderLog {
    /// Goes on where the table ends.
    pub(crate) fn load(tables: &impl Tables) -> Result<Self, StoreError> {
        let Some((key, value)) = tables.events().last()? else {
            return Ok(Self::default());
        };
        let first = keys::event_of(key.value());
        let payload = codec::unseal(TABLE, key.value(), value.value())?.to_vec();
        let mut last = first;
        for header in Headers::new(first, &payload) {
            last = header?.0;
        }
        Ok(Self {
            chunk: Some(Chunk {
                first,
                last,
                payload,
            }),
            dirty: false,
        })
    }

    /// Adds a header behind all others. It is in the table after the next [`HeaderLog::flush`].
    pub(crate) fn append(
        &mut self,
        tables: &mut WriteTables<'_>,
        event: EventKey,
        header: &Header,
    ) -> Result<(), StoreError> {
        self.dirty = true;
        if let Some(chunk) = &mut self.chunk {
            let before = chunk.payload.len();
            write(&mut chunk.payload, Some(chunk.last), event, header);
            if chunk.payload.len() <= HEADER_CHUNK_BYTES {
                chunk.last = event;
                return Ok(());
            }
            chunk.payload.truncate(before);
            self.flush(tables)?;
            self.dirty = true;
        }
        let mut payload = Vec::with_capacity(HEADER_CHUNK_BYTES);
        write(&mut payload, None, event, header);
        self.chunk = Some(Chunk {
            first: event,
            last: event,
            payload,
        });
        Ok(())
    }

    /// Writes what was added. Call before the transaction is committed, and before headers are read in it.
    pub(crate) fn flush(&mut self, tables: &mut WriteTables<'_>) -> Result<(), StoreError> {
        if std::mem::take(&mut self.dirty)
            && let Some(chunk) = &self.chunk
        {
            let key = keys::event(chunk.first);
            let row = codec::seal(TABLE, &key, &chunk.payload);
            tables.events.insert(&key, row.as_slice())?;
        }
        Ok(())
    }
}

fn write(out: &mut Vec<u8>, before: Option<EventKey>, event: EventKey, header: &Header) {
    let skips = before.is_some_and(|before| before.seq.checked_add(1) != Some(event.seq));
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        flag(header.deleted, DELETED)
            | flag(header.initial, INITIAL)
            | flag(header.since_us.is_some(), INFERRED)
            | flag(skips, SKIPS),
    );
    if let Some(before) = before {
        let micros = event.at.as_micros().abs_diff(before.at.as_micros());
        write_varint(out, micros);
        if skips {
            write_varint(out, event.seq.saturating_sub(before.seq));
        }
    }
    write_varint(out, header.object);
    if !header.deleted {
        write_varint(out, u64::from(header.body_len));
    }
    if let Some(since_us) = header.since_us {
        write_signed(out, event.at.as_micros().wrapping_sub(since_us));
    }
}

/// Reads a chunk's payload.
pub(crate) struct Headers<'a> {
    rest: &'a [u8],
    first: EventKey,
    before: Option<EventKey>,
}

impl<'a> Headers<'a> {
    /// `first` is the chunk's key.
    pub(crate) fn new(first: EventKey, payload: &'a [u8]) -> Self {
        Self {
            rest: payload,
            first,
            before: None,
        }
    }

    fn read(&mut self) -> Option<(EventKey, Header)> {
        let (flags, rest) = self.rest.split_first()?;
        self.rest = rest;
        let event = match self.before {
            None => self.first,
            Some(before) => {
                let micros = i64::try_from(read_varint(&mut self.rest)?).ok()?;
                let seqs = if flags & SKIPS == 0 {
                    1
                } else {
                    read_varint(&mut self.rest)?
                };
                EventKey {
                    at: Timestamp::from_micros(before.at.as_micros().checked_add(micros)?),
                    seq: before.seq.checked_add(seqs)?,
                }
            }
        };
        let deleted = flags & DELETED != 0;
        let object = read_varint(&mut self.rest)?;
        let body_len = if deleted {
            0
        } else {
            u32::try_from(read_varint(&mut self.rest)?).ok()?
        };
        let since_us = if flags & INFERRED == 0 {
            None
        } else {
            let ago = read_signed(&mut self.rest)?;
            Some(event.at.as_micros().wrapping_sub(ago))
        };
        self.before = Some(event);
        Some((
            event,
            Header {
                deleted,
                object,
                body_len,
                since_us,
                initial: flags & INITIAL != 0,
            },
        ))
    }
}

impl Iterator for Headers<'_> {
    type Item = Result<(EventKey, Header), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.rest = &[];
        }
        Some(read.ok_or_else(|| StoreError::Damaged {
            table: TABLE,
            key: codec::hex(&keys::event(self.first)),
            reason: "the chunk ends inside a header".to_owned(),
        }))
    }
}

/// The headers of events in [from, to), in their order.
pub(crate) fn range<T: Tables>(
    tables: &T,
    from: EventKey,
    to: EventKey,
) -> Result<impl Iterator<Item = Result<(EventKey, Header), StoreError>> + '_, StoreError> {
    let start = match tables
        .events()
        .range::<&[u8; 16]>(..=&keys::event(from))?
        .next_back()
    {
        Some(entry) => *entry?.0.value(),
        None => keys::event(from),
    };
    let end = keys::event(to.max(from));
    let mut chunks = tables
        .events()
        .range::<&[u8; 16]>(&start..&end.max(start))?;
    // One memory for the headers of all chunks.
    let mut chunk: Vec<(EventKey, Header)> = Vec::new();
    let mut at = 0;
    let mut next = move || -> Result<Option<(EventKey, Header)>, StoreError> {
        loop {
            while let Some((event, header)) = chunk.get(at).copied() {
                at += 1;
                if event >= to {
                    return Ok(None);
                }
                if event >= from {
                    return Ok(Some((event, header)));
                }
            }
            let Some(entry) = chunks.next() else {
                return Ok(None);
            };
            let (key, value) = entry?;
            let payload = codec::unseal(TABLE, key.value(), value.value())?;
            chunk.clear();
            at = 0;
            for header in Headers::new(keys::event_of(key.value()), payload) {
                match header {
                    Ok(header) => chunk.push(header),
                    Err(error) => {
                        chunk.clear();
                        return Err(error);
                    }
                }
            }
        }
    };
    Ok(std::iter::from_fn(move || next().transpose()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = (i64, u64, Header)> {
        let since = proptest::option::of(any::<i64>());
        (
            0i64..5_000_000,
            1u64..4,
            any::<bool>(),
            any::<u64>(),
            any::<u32>(),
            since,
            any::<bool>(),
        )
            .prop_map(|(dt, dseq, deleted, object, body_len, since_us, initial)| {
                let body_len = if deleted { 0 } else { body_len };
                (
                    dt,
                    dseq,
                    Header {
                        deleted,
                        object,
                        body_len,
                        since_us,
                        initial,
                    },
                )
            })
    }

    proptest! {
        #[test]
        fn headers_come_back(headers in proptest::collection::vec(header(), 1..50), at in -1_000_000i64..1_000_000) {
            let mut event = EventKey { at: Timestamp::from_micros(at), seq: 7 };
            let (mut payload, mut before, mut written) = (Vec::new(), None, Vec::new());
            for (dt, dseq, header) in headers {
                event = EventKey { at: event.at.plus_micros(dt), seq: event.seq + dseq };
                write(&mut payload, before, event, &header);
                written.push((event, header));
                before = Some(event);
            }
            let first = written.first().unwrap().0;
            let read: Vec<_> = Headers::new(first, &payload).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_bytes_end_in_headers_or_an_error(payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let first = EventKey { at: Timestamp::from_micros(i64::MAX - 5), seq: u64::MAX - 1 };
            prop_assert!(Headers::new(first, &payload).count() <= payload.len());
        }
    }
}
