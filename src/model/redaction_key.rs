//! The key under which a store digests what it must not keep in clear (S8).

use std::fmt;

/// 32 random bytes, made once for a store and kept in it. Whoever has them can try guesses on a digest, so nothing prints
/// them and no reader hands them out.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactionKey([u8; Self::BYTES]);

impl RedactionKey {
    /// Length of a key, bytes.
    pub const BYTES: usize = 32;

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_print_its_bytes() {
        let key = RedactionKey::from_bytes([171; 32]);
        assert_eq!(format!("{key:?}"), "RedactionKey(..)");
    }
}
