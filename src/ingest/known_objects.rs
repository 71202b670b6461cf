//! The rows of objects that changed lately, so that the store need not be asked with every change of one.

use std::hash::{BuildHasher, Hash, RandomState};

use quick_cache::unsync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::limits::KNOWN_OBJECTS_MAX;
use crate::model::ObjectKey;
use crate::store::rows::ObjectRow;

/// The newest incarnations of names that live. It may forget at any time; what it knows is true of the store,
/// or of the transaction under way.
pub(super) struct KnownObjects {
    /// Of the hash: nobody can know which names would meet.
    key: (u64, u64),
    /// 128 bits of the hash of the name, enough that no two of a cluster meet -> id and row.
    rows: Cache<u128, (u64, ObjectRow)>,
}

impl Default for KnownObjects {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            key: (random.hash_one(0), random.hash_one(1)),
            rows: Cache::new(KNOWN_OBJECTS_MAX),
        }
    }
}

impl std::fmt::Debug for KnownObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownObjects").finish_non_exhaustive()
    }
}

impl KnownObjects {
    fn hash(&self, key: &ObjectKey) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        key.hash(&mut hasher);
        hasher.finish128().as_u128()
    }

    /// The newest incarnation of a name.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<(u64, ObjectRow)> {
        self.rows.get(&self.hash(key)).cloned()
    }

    /// The newest incarnation of a name lives, and has this row now; with the hash of its last version, wherever that is
    /// stored.
    pub(super) fn remember(&mut self, key: &ObjectKey, id: u64, row: &ObjectRow) {
        self.rows.insert(self.hash(key), (id, row.clone()));
    }

    /// The name has no object that lives, or need not be known any more.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.rows.remove(&self.hash(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uid;

    fn row(seq: u64) -> ObjectRow {
        ObjectRow {
            uid: Some((&Uid("u".to_owned())).into()),
            live: true,
            last_seq: seq,
            change_hash: None,
            kind: 1,
        }
    }

    #[test]
    fn the_last_row_of_a_name_is_known_as_long_as_it_lives() {
        let name = |name: &str| ObjectKey::new("", "ConfigMap", "ns", name);
        let mut known = KnownObjects::default();
        known.remember(&name("a"), 1, &row(1));
        known.remember(&name("b"), 2, &row(2));
        known.remember(&name("a"), 3, &row(3));
        assert_eq!(known.get(&name("a")), Some((3, row(3))));
        assert_eq!(known.get(&name("b")), Some((2, row(2))));
        // Where one part ends counts.
        assert_eq!(known.get(&ObjectKey::new("", "ConfigMap", "nsa", "")), None);
        known.forget(&name("a"));
        assert_eq!(known.get(&name("a")), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut known = KnownObjects::default();
        for n in 0..2 * KNOWN_OBJECTS_MAX {
            let name = ObjectKey::new("", "ConfigMap", "ns", n.to_string());
            known.remember(&name, 1, &row(1));
        }
        assert!(known.rows.len() <= KNOWN_OBJECTS_MAX);
    }
}
