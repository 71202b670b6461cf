//! Bases and dictionaries: what is left of them, and how often it is used.

use std::collections::BTreeMap;

use redb::ReadableTable;

use super::Rebuild;
use crate::store::StoreError;
use crate::store::tables::Rows;
use crate::store::versions::base;

impl Rebuild<'_, '_> {
    /// Removes bases that nothing refers to any more, and counts the uses of the others anew.
    pub(super) fn bases(&mut self, uses: &BTreeMap<u64, u64>) -> Result<(), StoreError> {
        let tables = self.read()?;
        let mut numbers = Vec::new();
        for entry in tables.bases.iter()? {
            numbers.push(entry?.0.value());
        }
        let mut dictionaries = BTreeMap::new();
        for entry in tables.dictionaries.iter()? {
            let number = base::dictionary_number(entry?.0.value());
            if let Ok(bytes) = base::dictionary(&tables, number) {
                dictionaries.insert(number, bytes);
            }
        }
        let last_dictionary = dictionaries.keys().next_back().copied().unwrap_or(0);
        drop(tables);
        self.writer.last_base = numbers
            .last()
            .copied()
            .unwrap_or(0)
            .max(self.writer.last_base);
        self.writer.last_dictionary = last_dictionary.max(self.writer.last_dictionary);
        self.write(|tables| {
            // One copy may be all that was left.
            for (number, bytes) in dictionaries {
                base::insert_dictionary(tables, number, &bytes)?;
            }
            for number in numbers {
                base::set_uses(tables, number, uses.get(&number).copied().unwrap_or(0))?;
            }
            Ok(())
        })
    }
}
