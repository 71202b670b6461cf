//! SimKube's own code (`sk-core`, `sk-store` 2.7) as the referee of what sk-tracedb writes.
//!
//! [`referee`] is SimKube's parser and hashes, unchanged; [`judged`] turns a trace that the referee accepted into plain,
//! comparable values; [`wire`] reads what the referee does not look at (the order of fields); [`pods`] generates pod specs over
//! every field of Kubernetes 1.30 to 1.37; [`binary`] runs the built `sk-tracedb`; [`fixtures`] finds the data beside the
//! checkout. Nothing here repeats a rule of ours: where two sides are compared, one of them is SimKube's.

#![forbid(unsafe_code)]

pub mod binary;
pub mod fixtures;
pub mod judged;
pub mod pods;
pub mod referee;
pub mod wire;
