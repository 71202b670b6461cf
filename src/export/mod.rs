//! Writes trace files.

pub mod encode;
