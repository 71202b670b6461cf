//! Reads SimKube trace files.

pub mod sktrace;
