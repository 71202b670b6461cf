//! Shared by the test crates: compact descriptions of what a watch sees ([`build`]), a recorder that can be driven,
//! stopped, crashed and restarted ([`recorder`]), and a decoder of trace files that was written from the format's
//! description and shares nothing with the encoder ([`trace`]), and what is in a folder ([`folder`]).

#![allow(dead_code, unused_imports)] // every test crate uses its own part of this

pub mod build;
pub mod folder;
pub mod recorder;
pub mod trace;

pub use build::{Obj, Pod, config, gvk, obj, pod, s, us};
pub use recorder::{Recorder, window};
pub use trace::{Lifecycle, Trace};
