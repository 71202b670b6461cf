//! blake3 over a canonical, structure-preserving encoding: decides whether something changed.
/// A blake3 hash of canonical bytes.
pub type ContentHash = [u8; 32];
