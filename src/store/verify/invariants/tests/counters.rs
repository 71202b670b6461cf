//! What is counted of each kind.

use super::record::{Record, key, names};
use crate::store::codec::Row;
use crate::store::rows::KindRow;
use crate::store::tables::{get, put};

#[test]
fn a_kind_that_is_miscounted() {
    type Spoil = fn(&mut KindRow);
    let spoils: [(Spoil, &str); 4] = [
        (
            |row| row.applies += 1,
            "creations and changes of v1.ConfigMap",
        ),
        (|row| row.deletes += 1, "deletions of v1.ConfigMap"),
        (|row| row.body_bytes -= 1, "bytes of v1.ConfigMap"),
        (|row| row.live += 1, "objects of v1.ConfigMap exist"),
    ];
    for (spoil, what) in spoils {
        for record in [Record::new(), Record::dropped_before(4)] {
            let mut number = 0;
            let found = record.spoiled(|tables| {
                let kinds = crate::store::read_kinds(&tables.kinds).unwrap();
                number = *kinds.first_key_value().unwrap().0;
                let mut row: KindRow = get(&tables.kinds, number).unwrap().unwrap();
                spoil(&mut row);
                put(&mut tables.kinds, number, &row).unwrap();
            });
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                names(&found, KindRow::TABLE, &key(number), what),
                "{found:?}"
            );
        }
    }
}
