//! Guards what retention leaves: a window inside the horizon that lost an object, a lifecycle or an owner with what was
//! dropped before it, a file that grows beyond its limit all the same, an export whose rows vanish while it is written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "../model_parts/mod.rs"]
mod model_parts;
#[path = "../support/mod.rs"]
mod support;

mod beside;
mod clock;
mod closing;
mod epochs;
mod flat;
mod owners;
mod pinned;
mod pins;
mod program;
mod running;
mod windows;
