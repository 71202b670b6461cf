//! When a pod ran, as far as one version of its status tells.

use super::Timestamp;

/// What one version of a pod's status says of when it ran (R14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodTimes {
    /// The earliest `startedAt` of any running or terminated container, init containers included.
    pub start: Option<Timestamp>,
    /// The latest `finishedAt`, only where at least as many main containers have terminated as the spec has.
    pub containers_end: Option<Timestamp>,
    /// Whether the phase is `Succeeded` or `Failed`: the pod will not run again.
    pub terminal: bool,
}
