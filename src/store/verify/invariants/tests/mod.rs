//! Guards against damage that no checksum shows: rows that are sealed and whole, and say something that others do not.
//! Each test spoils one row of a record that the writer has made, and asks whether the verification names it.
#![allow(clippy::unwrap_used)]

mod counters;
mod events;
mod objects;
mod pods;
mod record;
