//! From files to stores: SimKube traces (S9).
//!
//! `sktrace` reads a trace, in constant memory and without trusting it; `store` records what it holds.

pub mod sktrace;
mod store;

pub use store::{ImportError, ImportOptions, import};
