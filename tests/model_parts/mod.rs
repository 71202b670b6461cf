//! The parts of the model test: what can happen ([`op`]), a cluster in which it happens and a recorder that watches it
//! ([`Play`]), the rules ([`rules`]), and how both stories are compared ([`compare`]).

mod compare;
mod play;
pub mod rules;

#[allow(unused_imports)] // every test takes its part
pub use play::{Act, Op, Play, op, pace};
