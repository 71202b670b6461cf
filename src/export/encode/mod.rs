//! Encodings.

pub mod sktrace;
