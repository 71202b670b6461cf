//! Every row of every table: its checksum, and that it can be decoded.

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition};
use zstd_safe::DCtx;

use super::findings::Findings;
use crate::store::packed::chunk;
use crate::store::progress::Counter;
use crate::store::tables::{SealedKey, TableVisitor, each_table, packed_parts};
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
        let parts = packed_parts(name);
        let (mut context, mut before) = (DCtx::create(), Vec::new());
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
            let key = key.value();
            let key = key.seal_bytes();
            let checked = match parts {
                None => codec::check(name, &key, value.value()),
                Some(parts) => chunk::read(parts, &key, value.value(), &mut context).map(|chunk| {
                    if *key <= *before {
                        let what = "it overlaps the chunk before it";
                        self.findings.add(name, &codec::hex(&key), what);
                    }
                    before = chunk.last_key().to_vec();
                }),
            };
            self.findings.keep(checked)?;
            self.counter.row()?;
        }
        Ok(())
    }
}
