//! Rows and keys with any bytes in them, for [`crate::fuzzing`].

use super::codec::{seal, unseal};
use super::keys;
use super::rows::RECODERS;

/// Reads a payload as the row of a table at a key, sealed as the store would have sealed it.
pub(crate) fn decode_row(table: &str, key: &[u8], payload: &[u8]) {
    for (name, recode) in RECODERS.iter().filter(|(name, _)| *name == table) {
        // Without a seal nothing is believed.
        assert!(unseal(name, key, payload).is_err() || payload.len() >= super::codec::SEAL_BYTES);
        let sealed = seal(name, key, payload);
        if let Ok(written) = recode(key, &sealed) {
            let again = recode(key, &written).ok();
            assert_eq!(
                again.as_ref(),
                Some(&written),
                "{table}: a row changes by being written"
            );
        }
    }
    match table {
        "object_to_row" => {
            if let Ok((object, id)) = keys::object_of("object_to_row", key) {
                assert_eq!(
                    keys::object(&object, id),
                    key,
                    "{table}: a key changes by being written"
                );
            }
        }
        "epoch_and_object_to_unit" => {
            let _ = keys::epoch_object_of("epoch_and_object_to_unit", key);
        }
        "epoch_and_pod_to_unit" => {
            let _ = keys::epoch_pod_of("epoch_and_pod_to_unit", key);
        }
        _ => {}
    }
}

/// The row types.
#[cfg(test)]
pub(crate) fn recoders() -> &'static [(&'static str, super::codec::Recode)] {
    RECODERS
}

/// Table, key and payload of some rows of every table.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn rows_of(store: &super::Store) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    const ROWS_OF_A_TABLE: usize = 6;
    let rows = store
        .read_tables()
        .unwrap()
        .first_rows(ROWS_OF_A_TABLE)
        .unwrap();
    rows.into_iter()
        .map(|(table, key, value)| {
            // Cells of `meta`, and rows that are only keys, have no seal.
            let payload = unseal(table, &key, &value).unwrap_or(&value).to_vec();
            (table, key, payload)
        })
        .collect()
}
