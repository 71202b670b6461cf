//! Key bytes. Frozen once released; docs/format.md repeats them. Byte order equals the order of the types.
//!
//! - time: microseconds as a big-endian u64 with the sign bit flipped (8 bytes)
//! - number: big-endian u64 (8 bytes)
//! - string: its bytes with `00` written as `00 ff`, then `00 00`; so "a" < "aa" < "b", and no string is a prefix of
//!   another's encoding

mod reader;

pub(crate) use reader::KeyReader;

use super::StoreError;
use super::codec::hex;
use crate::model::{EventKey, ObjectKey, Timestamp, Uid};

/// `time | seq`.
pub(crate) type EventBytes = [u8; 16];
/// `object id | time | seq`.
pub(crate) type HistoryBytes = [u8; 24];

const SIGN: u64 = 1 << 63;

/// A time, in its order.
pub(crate) fn time(at: Timestamp) -> [u8; 8] {
    (at.as_micros().cast_unsigned() ^ SIGN).to_be_bytes()
}

fn time_from(bytes: [u8; 8]) -> Timestamp {
    Timestamp::from_micros((u64::from_be_bytes(bytes) ^ SIGN).cast_signed())
}

/// `time | seq`.
pub(crate) fn event(key: EventKey) -> EventBytes {
    let mut bytes = [0; 16];
    let (at, seq) = bytes.split_at_mut(8);
    at.copy_from_slice(&time(key.at));
    seq.copy_from_slice(&key.seq.to_be_bytes());
    bytes
}

/// Reads `time | seq`.
pub(crate) fn event_of(bytes: &EventBytes) -> EventKey {
    let (mut time, mut seq) = ([0; 8], [0; 8]);
    let (a, b) = bytes.split_at(8);
    time.copy_from_slice(a);
    seq.copy_from_slice(b);
    EventKey {
        at: time_from(time),
        seq: u64::from_be_bytes(seq),
    }
}

/// `object id | time | seq`.
pub(crate) fn history(object: u64, key: EventKey) -> HistoryBytes {
    let mut bytes = [0; 24];
    let (id, rest) = bytes.split_at_mut(8);
    id.copy_from_slice(&object.to_be_bytes());
    rest.copy_from_slice(&event(key));
    bytes
}

/// The object id of `object id | time | seq`.
pub(crate) fn history_object(bytes: &HistoryBytes) -> u64 {
    let mut id = [0; 8];
    id.copy_from_slice(bytes.split_at(8).0);
    u64::from_be_bytes(id)
}

/// The event part of `object id | time | seq`.
pub(crate) fn history_event(bytes: &HistoryBytes) -> EventKey {
    let mut event = [0; 16];
    event.copy_from_slice(bytes.split_at(8).1);
    event_of(&event)
}

/// First byte of a UID that is a UUID in its usual form; 16 bytes follow.
const UID_UUID: u8 = 1;
/// First byte of any other UID; its text follows.
const UID_TEXT: u8 = 0;
/// Where a UUID's text has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// A UID: API servers give UUIDs, which take 16 bytes instead of 36.
pub(crate) fn uid(uid: &Uid) -> Vec<u8> {
    if let Some(uuid) = uuid_of(uid.0.as_bytes()) {
        let mut bytes = Vec::with_capacity(17);
        bytes.push(UID_UUID);
        bytes.extend_from_slice(&uuid);
        return bytes;
    }
    let mut bytes = Vec::with_capacity(uid.0.len() + 1);
    bytes.push(UID_TEXT);
    bytes.extend_from_slice(uid.0.as_bytes());
    bytes
}

/// Reads a UID; `None` where the bytes are none.
pub(crate) fn uid_of(bytes: &[u8]) -> Option<Uid> {
    match bytes.split_first()? {
        (&UID_UUID, uuid) if uuid.len() == 16 => {
            let mut text = hex(uuid);
            for at in HYPHENS {
                text.insert(at, '-');
            }
            Some(Uid(text))
        }
        (&UID_TEXT, text) => Some(Uid(String::from_utf8(text.to_vec()).ok()?)),
        _ => None,
    }
}

/// The bytes of a UUID written in lower case with hyphens: the only form that comes back as it was.
fn uuid_of(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut uuid = [0; 16];
    let mut nibbles = 0;
    for (at, byte) in text.iter().enumerate() {
        if HYPHENS.contains(&at) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let nibble = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let half = uuid.get_mut(nibbles / 2)?;
        *half = *half << 4 | nibble;
        nibbles += 1;
    }
    Some(uuid)
}

/// `kind number | owner's uid`.
pub(crate) fn sibling(owner: &Uid, kind: u64) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend_from_slice(&uid(owner));
    bytes
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes.extend_from_slice(&[0, 0]);
}

/// One string.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    push_text(&mut bytes, text);
    bytes
}

fn push_object_key(bytes: &mut Vec<u8>, key: &ObjectKey) {
    for part in [&key.group, &key.kind, &key.namespace, &key.name] {
        push_text(bytes, part);
    }
}

/// `group | kind | namespace | name`: the prefix of all incarnations of a name.
pub(crate) fn object_prefix(key: &ObjectKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(
        key.group.len() + key.kind.len() + key.namespace.len() + key.name.len() + 16,
    );
    push_object_key(&mut bytes, key);
    bytes
}

/// `group | kind | namespace | name | object id`.
pub(crate) fn object(key: &ObjectKey, id: u64) -> Vec<u8> {
    let mut bytes = object_prefix(key);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes
}

/// `epoch | kind number (4 bytes) | object id`; the kind number is that of [`crate::store::rows::identity_kind`].
pub(crate) fn epoch_object(epoch: u64, kind: u32, id: u64) -> Vec<u8> {
    let mut bytes = epoch_kind_prefix(epoch, kind);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes
}

/// `epoch | kind number`: the prefix of one kind in one epoch.
pub(crate) fn epoch_kind_prefix(epoch: u64, kind: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes
}

/// `epoch | pod number`.
pub(crate) fn epoch_pod(epoch: u64, pod: u64) -> Vec<u8> {
    let mut bytes = epoch.to_be_bytes().to_vec();
    bytes.extend_from_slice(&pod.to_be_bytes());
    bytes
}

/// Bytes of a UID's hash in the index of pods: of ten million pods, no more than one in 400 shares them.
pub(super) const POD_HASH_BYTES: usize = 4;

/// The prefix of all pods whose UIDs have one hash: the first bytes of blake3 of the UID's bytes.
pub(crate) fn pod_uid_prefix(pod: &Uid) -> [u8; POD_HASH_BYTES] {
    let mut hash = [0; POD_HASH_BYTES];
    blake3::Hasher::new()
        .update(&uid(pod))
        .finalize_xof()
        .fill(&mut hash);
    hash
}

/// `hash of the UID | pod number`; the number without its leading zero bytes, for most of the key is random.
pub(crate) fn pod_uid(pod: &Uid, number: u64) -> Vec<u8> {
    let mut bytes = pod_uid_prefix(pod).to_vec();
    let zeros = number.leading_zeros() as usize / 8;
    bytes.extend(number.to_be_bytes().into_iter().skip(zeros));
    bytes
}

/// `namespace | name`: the prefix of all pods of a name.
pub(crate) fn pod_name_prefix(namespace: &str, name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(namespace.len() + name.len() + 16);
    push_text(&mut bytes, namespace);
    push_text(&mut bytes, name);
    bytes
}

/// `namespace | name | pod number`.
pub(crate) fn pod_name(namespace: &str, name: &str, number: u64) -> Vec<u8> {
    let mut bytes = pod_name_prefix(namespace, name);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

/// Reads `group | kind | namespace | name | object id`.
pub(crate) fn object_of(table: &'static str, bytes: &[u8]) -> Result<(ObjectKey, u64), StoreError> {
    let mut reader = KeyReader::new(table, bytes);
    let key = reader.object_key()?;
    let id = reader.number()?;
    reader.end()?;
    Ok((key, id))
}

/// Reads the object id of `epoch | kind number | object id`.
pub(crate) fn epoch_object_of(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let mut reader = KeyReader::new(table, bytes);
    reader.number()?;
    reader.short_number()?;
    let id = reader.number()?;
    reader.end()?;
    Ok(id)
}

/// Reads the pod number of `epoch | pod number`.
pub(crate) fn epoch_pod_of(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let mut reader = KeyReader::new(table, bytes);
    reader.number()?;
    let pod = reader.number()?;
    reader.end()?;
    Ok(pod)
}

/// Reads the pod number of `hash of the UID | pod number`.
pub(crate) fn pod_uid_of(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let reader = KeyReader::new(table, bytes);
    match bytes.split_at_checked(POD_HASH_BYTES) {
        Some((_, number)) if number.len() <= 8 && number.first() != Some(&0) => {
            let shift = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Ok(number.iter().fold(0, shift))
        }
        _ => Err(reader.damaged("the key holds no pod number")),
    }
}

/// Reads the pod number of `namespace | name | pod number`.
pub(crate) fn pod_name_of(table: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let mut reader = KeyReader::new(table, bytes);
    reader.text()?;
    reader.text()?;
    let number = reader.number()?;
    reader.end()?;
    Ok(number)
}

/// The least key that is greater than every key with this prefix; `None` when there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            return Some(bytes);
        }
    }
    None
}

/// The keys with this prefix, as a range.
pub(crate) fn prefix_range(prefix: &[u8]) -> (std::ops::Bound<Vec<u8>>, std::ops::Bound<Vec<u8>>) {
    use std::ops::Bound;
    let end = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(prefix.to_vec()), end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a scan that skips rows: an encoding whose byte order is not the order of what it encodes.

    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = String> {
        // Short strings over a small alphabet with NUL and 0xff-ish characters: prefixes of each other are common.
        proptest::collection::vec(
            prop_oneof![Just('\0'), Just('\u{1}'), Just('a'), Just('b'), Just('ÿ')],
            0..4,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    fn key() -> impl Strategy<Value = (ObjectKey, u64)> {
        (part(), part(), part(), part(), any::<u64>()).prop_map(
            |(group, kind, namespace, name, id)| {
                (
                    ObjectKey {
                        group,
                        kind,
                        namespace,
                        name,
                    },
                    id,
                )
            },
        )
    }

    fn event_key() -> impl Strategy<Value = EventKey> {
        (any::<i64>(), any::<u64>()).prop_map(|(at, seq)| EventKey {
            at: Timestamp::from_micros(at),
            seq,
        })
    }

    #[test]
    fn a_uuid_takes_17_bytes() {
        let text = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        assert_eq!(uid(&Uid(text.to_owned())).len(), 17);
        assert_eq!(uid(&Uid(text.to_uppercase())).len(), 37);
    }

    proptest! {
        #[test]
        fn object_keys_sort_as_their_parts(a in key(), b in key()) {
            prop_assert_eq!(a.cmp(&b), object(&a.0, a.1).cmp(&object(&b.0, b.1)));
        }

        #[test]
        fn object_keys_read_back(a in key()) {
            prop_assert_eq!(&object_of("t", &object(&a.0, a.1)).unwrap(), &a);
        }

        #[test]
        fn keys_of_live_objects_sort_and_read_back(a in any::<(u64, u32, u64)>(), b in any::<(u64, u32, u64)>()) {
            let bytes = |(epoch, kind, id): (u64, u32, u64)| epoch_object(epoch, kind, id);
            prop_assert_eq!(a.cmp(&b), bytes(a).cmp(&bytes(b)));
            prop_assert_eq!(epoch_object_of("t", &bytes(a)).unwrap(), a.2);
        }

        #[test]
        fn a_prefix_range_holds_exactly_its_prefix(a in key(), b in key()) {
            use std::ops::RangeBounds;
            let inside = prefix_range(&object_prefix(&a.0)).contains(&object(&b.0, b.1));
            prop_assert_eq!(inside, a.0 == b.0);
        }

        #[test]
        fn event_and_history_keys_sort_and_read_back(a in event_key(), b in event_key(), ids in any::<(u64, u64)>()) {
            prop_assert_eq!(a.cmp(&b), event(a).cmp(&event(b)));
            prop_assert_eq!(event_of(&event(a)), a);
            prop_assert_eq!((ids.0, a).cmp(&(ids.1, b)), history(ids.0, a).cmp(&history(ids.1, b)));
            prop_assert_eq!(history_event(&history(ids.0, a)), a);
        }

        #[test]
        fn pod_keys_sort_and_read_back(a in (part(), part(), any::<u64>()), b in (part(), part(), any::<u64>())) {
            let name = |(namespace, name, number): &(String, String, u64)| pod_name(namespace, name, *number);
            prop_assert_eq!(a.cmp(&b), name(&a).cmp(&name(&b)));
            prop_assert!(name(&a).starts_with(&pod_name_prefix(&a.0, &a.1)));
            prop_assert_eq!(pod_name_of("t", &name(&a)).unwrap(), a.2);
            let epoch = |pod: u64| epoch_pod(3, pod);
            prop_assert_eq!(a.2.cmp(&b.2), epoch(a.2).cmp(&epoch(b.2)));
            prop_assert_eq!(epoch_pod_of("t", &epoch(a.2)).unwrap(), a.2);
            let uid = Uid(a.0);
            prop_assert!(pod_uid(&uid, a.2).starts_with(&pod_uid_prefix(&uid)));
            prop_assert_eq!(pod_uid_of("t", &pod_uid(&uid, a.2)).unwrap(), a.2);
        }

        #[test]
        fn uids_come_back_whatever_their_form(text in "[0-9a-fA-F-]{36}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|.{0,40}") {
            let bytes = uid(&Uid(text.clone()));
            prop_assert_eq!(uid_of(&bytes), Some(Uid(text)));
        }

        #[test]
        fn no_bytes_make_the_uid_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = uid_of(&bytes);
        }

        #[test]
        fn no_key_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = object_of("t", &bytes);
            let _ = epoch_object_of("t", &bytes);
            let _ = epoch_pod_of("t", &bytes);
            let _ = pod_name_of("t", &bytes);
            let _ = pod_uid_of("t", &bytes);
        }
    }
}
