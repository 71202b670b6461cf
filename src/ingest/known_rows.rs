//! Rows of the store that changed lately, so that it need not be asked with every change of an object or a pod.

use std::hash::{BuildHasher, Hash, RandomState};

use quick_cache::unsync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};

/// Rows by a name. It may forget at any time; what it knows is true of the store, or of the transaction under way.
pub(super) struct KnownRows<V> {
    /// Of the hash: nobody can know which names would meet.
    key: (u64, u64),
    /// 128 bits of the hash of the name, enough that no two of a cluster meet.
    rows: Cache<u128, V>,
}

impl<V> std::fmt::Debug for KnownRows<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownRows").finish_non_exhaustive()
    }
}

impl<V: Clone> KnownRows<V> {
    /// Nothing is known yet, and never more than so many rows.
    pub(super) fn new(rows_max: usize) -> Self {
        let random = RandomState::new();
        Self {
            key: (random.hash_one(0), random.hash_one(1)),
            rows: Cache::new(rows_max),
        }
    }

    fn hash(&self, name: &impl Hash) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        name.hash(&mut hasher);
        hasher.finish128().as_u128()
    }

    /// The row of a name, where it is known.
    pub(super) fn get(&self, name: &impl Hash) -> Option<V> {
        self.rows.get(&self.hash(name)).cloned()
    }

    /// The row that a name has now.
    pub(super) fn remember(&mut self, name: &impl Hash, row: V) {
        self.rows.insert(self.hash(name), row);
    }

    /// The name has no row any more, or it need not be known.
    pub(super) fn forget(&mut self, name: &impl Hash) {
        self.rows.remove(&self.hash(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectKey;

    fn name(name: &str) -> ObjectKey {
        ObjectKey::new("", "ConfigMap", "ns", name)
    }

    #[test]
    fn the_last_row_of_a_name_is_known_until_it_is_forgotten() {
        let mut known = KnownRows::new(100);
        known.remember(&name("a"), 1);
        known.remember(&name("b"), 2);
        known.remember(&name("a"), 3);
        assert_eq!(known.get(&name("a")), Some(3));
        assert_eq!(known.get(&name("b")), Some(2));
        // Where one part ends counts.
        assert_eq!(known.get(&ObjectKey::new("", "ConfigMap", "nsa", "")), None);
        known.forget(&name("a"));
        assert_eq!(known.get(&name("a")), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut known = KnownRows::new(100);
        for n in 0..200 {
            known.remember(&name(&n.to_string()), n);
        }
        assert!(known.rows.len() <= 100);
    }
}
