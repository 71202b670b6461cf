//! Every row of every table: its checksum, and that it can be decoded.

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition};

use super::findings::Findings;
use crate::store::progress::Counter;
use crate::store::tables::{SealedKey, TableVisitor, each_table};
use crate::store::{Snapshot, StoreError, codec};

pub(super) fn check(
    snapshot: &Snapshot,
    counter: &mut Counter<'_>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    each_table(&mut Rows {
        txn: snapshot.txn(),
        counter,
        findings,
    })
}

struct Rows<'a, 'b> {
    txn: &'a ReadTransaction,
    counter: &'a mut Counter<'b>,
    findings: &'a mut Findings,
}

impl TableVisitor for Rows<'_, '_> {
    fn table<K>(
        &mut self,
        name: &'static str,
        definition: TableDefinition<'static, K, &'static [u8]>,
    ) -> Result<(), StoreError>
    where
        K: Key + 'static,
        for<'k> K::SelfType<'k>: SealedKey,
    {
        let table = self.txn.open_table(definition)?;
        for entry in table.iter()? {
            let (key, value) = match entry {
                Ok(row) => row,
                Err(error) => {
                    self.findings.add(
                        name,
                        "",
                        format!("the rest of the table cannot be read: {error}"),
                    );
                    return Ok(());
                }
            };
            let sealed = codec::check(name, &key.value().seal_bytes(), value.value());
            self.findings.keep(sealed)?;
            self.counter.row()?;
        }
        Ok(())
    }
}
