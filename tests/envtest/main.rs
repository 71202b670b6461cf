//! Tests against a real Kubernetes API server.
//!
//! They guard what no fake can: that the real kube-apiserver, etcd and controllers do what the recorder believes that they do. They
//! need binaries and say that they are skipped without them:
//!
//! ```sh
//! export KUBEBUILDER_ASSETS="$(.ci/build-envtest | tail -n 1)"
//! cargo test --test envtest
//! ```
//!
//! The harness: [`control_plane`] starts and breaks the parts, [`kubelet`] plays the nodes, [`audit`] is the independent truth,
//! [`objects`] are things to create, [`poll`] waits. [`recorder`] is the program under test; [`compare`] and [`lifecycles`]
//! compare what it stored with the truth.

#![allow(
    dead_code,
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect fails by a panic, and not each test needs all of the harness"
)]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod compare;
mod control_plane;
mod kubelet;
mod lifecycles;
mod objects;
mod poll;
mod process;
mod recorder;

mod faults;
mod kinds;
mod pods;
mod recording;
mod restart;
mod smoke;
