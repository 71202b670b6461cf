//! What can be wrong with a trace file, and what to do about it.

use std::convert::Infallible;
use std::fmt;
use std::io;

use crate::export::encode::sktrace::TRACE_VERSION;
use crate::limits::{
    NAME_BYTES_MAX, NESTING_DEPTH_MAX, OBJECT_BYTES_MAX, OBJECT_VALUES_MAX, TRACE_NAME_BYTES_MAX,
};
use crate::model::gvk::InvalidGvk;

/// Why a trace was not read to its end. `E` is the visitor's own error.
#[derive(Debug, thiserror::Error)]
pub enum TraceError<E: std::error::Error + 'static = Infallible> {
    /// The input failed.
    #[error("cannot read the trace behind byte {offset}")]
    Read {
        /// How many bytes had been read before.
        offset: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// The input is not a trace that this program accepts.
    #[error(transparent)]
    Invalid(#[from] Box<InvalidTrace>),
    /// The visitor gave up.
    #[error(transparent)]
    Visitor(E),
}

impl<E: std::error::Error + 'static> TraceError<E> {
    /// The way out, where there is one: a sentence for a `hint:` line.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(invalid) => invalid.problem.hint(),
            Self::Read { .. } | Self::Visitor(_) => None,
        }
    }
}

/// What is wrong with a trace, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidTrace {
    /// Offset in the input of the first byte of what is wrong, from 0.
    pub offset: u64,
    /// The part of the trace, such as `events[3].applied_objs[0]`; empty at the top level.
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for InvalidTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.offset)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for InvalidTrace {}

/// What is wrong at one place of a trace.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The input ends too early.
    #[error("the file ends before {expected} is complete")]
    Truncated {
        /// What was being read.
        expected: &'static str,
    },
    /// The trace is over and the input is not.
    #[error("the trace is complete, but the file goes on")]
    TrailingBytes,
    /// A value of another type or range.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was due.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A struct written as a list of values, without field names.
    #[error("expected {expected} as a map with field names, found an array of {len}")]
    Positional {
        /// The struct.
        expected: &'static str,
        /// Its length.
        len: u32,
    },
    /// Another version of the format.
    #[error("the trace has version {found}; only version {TRACE_VERSION} can be read")]
    Version {
        /// The version.
        found: u64,
    },
    /// A required field is not there.
    #[error("the field {field} is missing")]
    MissingField {
        /// The field.
        field: &'static str,
    },
    /// A field comes twice.
    #[error("the field {field} comes a second time")]
    RepeatedField {
        /// The field.
        field: &'static str,
    },
    /// A field comes before another that has to stand before it, or that other is missing.
    #[error("the field {field} comes before the field {needs}")]
    FieldOrder {
        /// The field that came.
        field: &'static str,
        /// The field it needs.
        needs: &'static str,
    },
    /// An object has the same key twice.
    #[error("the key {key:?} comes a second time in the same map")]
    RepeatedKey {
        /// The key; its beginning where it is long.
        key: String,
    },
    /// A text that is not UTF-8.
    #[error("the text is not UTF-8")]
    InvalidUtf8,
    /// A number that JSON, and so Kubernetes, does not have.
    #[error("the number {found} cannot stand in an object")]
    InvalidFloat {
        /// NaN or an infinity.
        found: f64,
    },
    /// Maps and arrays in each other, too many.
    #[error("more than {NESTING_DEPTH_MAX} maps and arrays are nested in each other")]
    TooDeep,
    /// An object, or the config, of too many bytes.
    #[error("the object that begins here is larger than {OBJECT_BYTES_MAX} bytes")]
    ObjectTooLarge,
    /// An object, or the config, of too many values.
    #[error("the object has more than {OBJECT_VALUES_MAX} values")]
    TooManyValues,
    /// A name, kind or field name of no or too many bytes.
    #[error("expected {expected} of 1 to {TRACE_NAME_BYTES_MAX} bytes, found {bytes}")]
    NameLength {
        /// What was due.
        expected: &'static str,
        /// Its length, bytes.
        bytes: u32,
    },
    /// An object without a proper identity.
    #[error("the object's {field} is {fault}")]
    Identity {
        /// The field: `apiVersion`, `kind`, `metadata`, `metadata.name` or `metadata.namespace`.
        field: &'static str,
        /// What is wrong with it.
        fault: IdentityFault,
    },
    /// A text that should be a kind.
    #[error("{}", .0)]
    Gvk(InvalidGvk),
    /// An event is older than the one before it.
    #[error(
        "the event's ts {ts_seconds} lies before that of the event before it, {previous_seconds}"
    )]
    TimeWentBackwards {
        /// `ts` of the event before, Unix seconds.
        previous_seconds: i64,
        /// `ts` of this event, Unix seconds.
        ts_seconds: i64,
    },
    /// A pod ended before it started.
    #[error("the lifecycle ends at {end_s}, before its start at {start_s}")]
    LifecycleInverted {
        /// Start, Unix seconds.
        start_s: i64,
        /// End, Unix seconds.
        end_s: i64,
    },
}

/// What is wrong with a field that names an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFault {
    /// Not there.
    Missing,
    /// Not a text.
    NotText,
    /// Not a map.
    NotMap,
    /// An empty text.
    Empty,
    /// A text of more than [`NAME_BYTES_MAX`] bytes.
    TooLong,
}

impl fmt::Display for IdentityFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::NotText => f.write_str("not a text"),
            Self::NotMap => f.write_str("not a map"),
            Self::Empty => f.write_str("empty"),
            Self::TooLong => write!(f, "longer than {NAME_BYTES_MAX} bytes"),
        }
    }
}

impl Problem {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { .. } => {
                Some("the file was cut off: copy or export it again, and compare the sizes")
            }
            Self::TrailingBytes => Some(
                "files that were appended to each other have to be imported one by one; else copy or export it again",
            ),
            Self::Positional { .. } => Some(
                "traces older than version 2 look like this: only SimKube up to 1.1.1 reads them; a newer trace has \
                 to be written with field names (rmp_serde::to_vec_named)",
            ),
            Self::Version { found } if *found < TRACE_VERSION => {
                Some("only SimKube up to 1.1.1 reads traces older than version 2")
            }
            Self::Version { .. } => Some("the file comes from a newer SimKube: update sk-tracedb"),
            Self::FieldOrder { .. } => Some(
                "fields have to stand in the order in which SimKube writes them: load the trace with SimKube's own \
                 tools and write it again",
            ),
            Self::TimeWentBackwards { .. } => Some(
                "the events have to be ordered by ts: sort them, or import merged traces one by one",
            ),
            _ => None,
        }
    }
}

/// What goes wrong below the visitor; becomes a [`TraceError`] of any `E`.
#[derive(Debug)]
pub(super) enum Fault {
    Read { offset: u64, source: io::Error },
    Invalid(Box<InvalidTrace>),
}

impl Fault {
    #[cold]
    pub(super) fn at(offset: u64, problem: Problem) -> Self {
        Self::Invalid(Box::new(InvalidTrace {
            offset,
            place: String::new(),
            problem,
        }))
    }
}

impl<E: std::error::Error + 'static> From<Fault> for TraceError<E> {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Read { offset, source } => Self::Read { offset, source },
            Fault::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}
