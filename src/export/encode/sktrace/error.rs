//! Why a trace could not be written.

use std::io;

use crate::limits::{OBJECT_BYTES_MAX, TRACE_NAME_BYTES_MAX};

/// Why a trace could not be written. What was written so far is not a trace.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The output failed.
    #[error("cannot write the trace")]
    Write(#[source] io::Error),
    /// The config is not a value that MessagePack can hold.
    #[error("cannot write the trace's config")]
    Config(#[source] rmp_serde::encode::Error),
    /// The producer's calls do not match the counts it gave.
    #[error("the trace is inconsistent: {call} was called where {due} was due")]
    Misuse {
        /// The call that came.
        call: &'static str,
        /// What the counts given before ask for.
        due: String,
    },
    /// The trace was finished before every count came true.
    #[error("the trace is incomplete: {due} was due")]
    Incomplete {
        /// What is still missing.
        due: String,
    },
    /// An event is older than the one before it.
    #[error("the trace's events are out of order: ts {ts_seconds} follows {previous_seconds}")]
    TimeWentBackwards {
        /// `ts` of the event before, Unix seconds.
        previous_seconds: i64,
        /// `ts` of this event, Unix seconds.
        ts_seconds: i64,
    },
    /// A pod ended before it started.
    #[error("a pod's lifecycle ends at {end_s}, before its start at {start_s}")]
    LifecycleInverted {
        /// Start, Unix seconds.
        start_s: i64,
        /// End, Unix seconds.
        end_s: i64,
    },
    /// A pod-spec hash without lifecycles: SimKube's driver would divide by their number.
    #[error("the pod-spec hash {hash} has no lifecycles")]
    NoLifecycles {
        /// The hash.
        hash: u64,
    },
    /// The bytes given as an object are not a MessagePack map of an accepted size.
    #[error(
        "an object of {bytes} bytes is not a MessagePack map of at most {OBJECT_BYTES_MAX} bytes"
    )]
    InvalidObject {
        /// Its length, bytes.
        bytes: usize,
    },
    /// A kind or name is empty or longer than a reader accepts.
    #[error("a name of {bytes} bytes: a trace takes 1 to {TRACE_NAME_BYTES_MAX}")]
    InvalidName {
        /// Its length, bytes.
        bytes: usize,
    },
}
