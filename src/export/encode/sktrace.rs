//! Writes a SimKube trace of version 2, piece by piece, in constant memory.
//!
//! The bytes are those that rmp-serde's named encoding gives for the same trace (what SimKube itself writes): maps with
//! field names, every header as short as it can be. MessagePack puts the number of elements in front of a list, so the
//! caller says each count first and then writes that many. [`TraceEncoder`] keeps the books: a call that does not fit
//! is refused, and only [`TraceEncoder::finish`] of a trace in which every count came true says that it is whole.
//!
//! Objects come as MessagePack (see [`crate::normalize`]) and are copied as they are.

use std::io::{self, Write};

use rmp::encode::buffer::ByteBuf;
use rmp::encode::{write_array_len, write_map_len, write_sint, write_str, write_uint};

use crate::limits::{OBJECT_BYTES_MAX, TRACE_NAME_BYTES_MAX};
use crate::model::Gvk;

pub use error::EncodeError;
use state::State;

mod error;
mod state;

/// The version of the trace format that is written and read.
pub const TRACE_VERSION: u64 = 2;

/// A trace under way. Give it a buffered output: it writes in small pieces.
///
/// The calls, in their order (`*` as often as the count before says):
///
/// ```text
/// header
/// ( event_start  object*  deleted_start  object* )*
/// index_start       ( index_kind  index_entry* )*
/// lifecycles_start  ( lifecycle_owner  ( lifecycle_hash  lifecycle* )* )*
/// finish
/// ```
///
/// After an error every further call fails, [`finish`](Self::finish) too.
#[derive(Debug)]
#[must_use = "a trace is whole only when finish() says so"]
pub struct TraceEncoder<W> {
    out: W,
    state: State,
    last_ts_seconds: Option<i64>,
}

impl<W: Write> TraceEncoder<W> {
    /// A trace that will be written to `out`; writes nothing yet.
    pub fn new(out: W) -> Self {
        Self {
            out,
            state: State::Header,
            last_ts_seconds: None,
        }
    }

    /// The version, the config (`{"trackedObjects": {...}}`) and the number of events.
    ///
    /// # Errors
    /// As for every call: [`EncodeError::Misuse`] when it is not due, [`EncodeError::Write`] when the output fails.
    pub fn header(&mut self, config: &serde_json::Value, events: u32) -> Result<(), EncodeError> {
        self.step("header", self.state.header(events), |out| {
            write_map_len(out, 5)?;
            write_str(out, "version")?;
            write_uint(out, TRACE_VERSION)?;
            write_str(out, "config")?;
            write_config(out, config)?;
            write_str(out, "events")?;
            write_array_len(out, events)?;
            Ok(())
        })
    }

    /// An event at `ts_seconds` (Unix seconds, not before the last event's), with so many applied objects.
    ///
    /// # Errors
    /// [`EncodeError::TimeWentBackwards`], and as for [`header`](Self::header).
    pub fn event_start(&mut self, ts_seconds: i64, applied: u32) -> Result<(), EncodeError> {
        let previous = self.last_ts_seconds.replace(ts_seconds);
        self.step("event_start", self.state.event_start(applied), |out| {
            if let Some(previous_seconds) = previous.filter(|previous| ts_seconds < *previous) {
                return Err(Unwritten(EncodeError::TimeWentBackwards {
                    previous_seconds,
                    ts_seconds,
                }));
            }
            write_map_len(out, 3)?;
            write_str(out, "ts")?;
            write_sint(out, ts_seconds)?;
            write_str(out, "applied_objs")?;
            write_array_len(out, applied)?;
            Ok(())
        })
    }

    /// An object, as MessagePack, of the list that was started last. The bytes must be one whole map; only that they
    /// begin as one, and their size, is checked here.
    ///
    /// # Errors
    /// [`EncodeError::InvalidObject`], and as for [`header`](Self::header).
    pub fn object(&mut self, body: &[u8]) -> Result<(), EncodeError> {
        self.step("object", self.state.object(), |out| {
            check_object(body).map_err(Unwritten)?;
            Ok(out.write_all(body)?)
        })
    }

    /// An object that is put into the output later: `leave` makes room for it. Whoever puts it there asks [`check_object`].
    ///
    /// # Errors
    /// As for [`header`](Self::header).
    pub(crate) fn object_later(&mut self, leave: impl FnOnce(&mut W)) -> Result<(), EncodeError> {
        self.step("object", self.state.object(), |out| {
            leave(out);
            Ok(())
        })
    }

    /// The number of deleted objects of this event; due after its applied objects, also when it is 0.
    ///
    /// # Errors
    /// As for [`header`](Self::header).
    pub fn deleted_start(&mut self, deleted: u32) -> Result<(), EncodeError> {
        self.step("deleted_start", self.state.deleted_start(deleted), |out| {
            write_str(out, "deleted_objs")?;
            write_array_len(out, deleted)?;
            Ok(())
        })
    }

    /// The number of kinds in the index; due after the last event.
    ///
    /// # Errors
    /// As for [`header`](Self::header).
    pub fn index_start(&mut self, kinds: u32) -> Result<(), EncodeError> {
        self.step("index_start", self.state.index_start(kinds), |out| {
            write_str(out, "index")?;
            write_map_len(out, kinds)?;
            Ok(())
        })
    }

    /// A kind of the index (`group/version.Kind`) and the number of its objects. Each kind once.
    ///
    /// # Errors
    /// [`EncodeError::InvalidName`], and as for [`header`](Self::header).
    pub fn index_kind(&mut self, gvk: &str, objects: u32) -> Result<(), EncodeError> {
        self.step("index_kind", self.state.index_kind(objects), |out| {
            write_name(out, gvk)?;
            write_map_len(out, objects)?;
            Ok(())
        })
    }

    /// An object of the kind that was started last: `namespace/name` (or the bare name) and the SimKube hash of its
    /// spec. Each name once.
    ///
    /// # Errors
    /// [`EncodeError::InvalidName`], and as for [`header`](Self::header).
    pub fn index_entry(&mut self, name: &str, hash: u64) -> Result<(), EncodeError> {
        self.step("index_entry", self.state.index_entry(), |out| {
            write_name(out, name)?;
            write_uint(out, hash)?;
            Ok(())
        })
    }

    /// The number of owners that have lifecycles; due after the last entry of the index.
    ///
    /// # Errors
    /// As for [`header`](Self::header).
    pub fn lifecycles_start(&mut self, owners: u32) -> Result<(), EncodeError> {
        self.step(
            "lifecycles_start",
            self.state.lifecycles_start(owners),
            |out| {
                write_str(out, "pod_lifecycles")?;
                write_map_len(out, owners)?;
                Ok(())
            },
        )
    }

    /// An owner (`group/version.Kind` and `namespace/name`) and the number of its pod-spec hashes. Each owner once.
    ///
    /// # Errors
    /// [`EncodeError::InvalidName`], and as for [`header`](Self::header).
    pub fn lifecycle_owner(
        &mut self,
        gvk: &str,
        name: &str,
        hashes: u32,
    ) -> Result<(), EncodeError> {
        self.step(
            "lifecycle_owner",
            self.state.lifecycle_owner(hashes),
            |out| {
                write_array_len(out, 2)?;
                write_name(out, gvk)?;
                write_name(out, name)?;
                write_map_len(out, hashes)?;
                Ok(())
            },
        )
    }

    /// A pod-spec hash of the owner that was started last, and the number of its lifecycles, at least one. Each hash
    /// once.
    ///
    /// # Errors
    /// [`EncodeError::NoLifecycles`], and as for [`header`](Self::header).
    pub fn lifecycle_hash(&mut self, hash: u64, lifecycles: u32) -> Result<(), EncodeError> {
        self.step(
            "lifecycle_hash",
            self.state.lifecycle_hash(lifecycles),
            |out| {
                if lifecycles == 0 {
                    return Err(Unwritten(EncodeError::NoLifecycles { hash }));
                }
                write_uint(out, hash)?;
                write_array_len(out, lifecycles)?;
                Ok(())
            },
        )
    }

    /// When one pod ran, Unix seconds; without an end it was still running.
    ///
    /// # Errors
    /// [`EncodeError::LifecycleInverted`], and as for [`header`](Self::header).
    pub fn lifecycle(&mut self, start_s: i64, end_s: Option<i64>) -> Result<(), EncodeError> {
        self.step("lifecycle", self.state.lifecycle(), |out| {
            if let Some(end_s) = end_s.filter(|end_s| *end_s < start_s) {
                return Err(Unwritten(EncodeError::LifecycleInverted { start_s, end_s }));
            }
            write_map_len(out, 1)?;
            match end_s {
                None => {
                    write_str(out, "Running")?;
                    write_sint(out, start_s)?;
                }
                Some(end_s) => {
                    write_str(out, "Finished")?;
                    write_array_len(out, 2)?;
                    write_sint(out, start_s)?;
                    write_sint(out, end_s)?;
                }
            }
            Ok(())
        })
    }

    /// Flushes the output and hands it back: the trace is whole.
    ///
    /// # Errors
    /// [`EncodeError::Incomplete`] when something that was promised is missing or an earlier call failed, and
    /// [`EncodeError::Write`] when the output cannot be flushed.
    pub fn finish(mut self) -> Result<W, EncodeError> {
        if !self.state.is_whole() {
            return Err(EncodeError::Incomplete {
                due: self.state.due(),
            });
        }
        self.out.flush().map_err(EncodeError::Write)?;
        Ok(self.out)
    }

    /// Writes one piece, and goes on to `next` only if all of it was written.
    fn step(
        &mut self,
        call: &'static str,
        next: Option<State>,
        write: impl FnOnce(&mut W) -> Result<(), Unwritten>,
    ) -> Result<(), EncodeError> {
        let before = std::mem::replace(&mut self.state, State::Failed);
        let Some(next) = next else {
            return Err(EncodeError::Misuse {
                call,
                due: before.due(),
            });
        };
        write(&mut self.out).map_err(|unwritten| unwritten.0)?;
        self.state = next;
        Ok(())
    }
}

/// Whether bytes can be an object: see [`TraceEncoder::object`].
///
/// # Errors
/// [`EncodeError::InvalidObject`].
pub(crate) fn check_object(body: &[u8]) -> Result<(), EncodeError> {
    let map = matches!(body.first(), Some(0x80..=0x8f | 0xde | 0xdf));
    if !map || body.len() > OBJECT_BYTES_MAX {
        return Err(EncodeError::InvalidObject { bytes: body.len() });
    }
    Ok(())
}

/// The object that stands for a deleted one: `apiVersion`, `kind`, and `metadata` with its name and, unless it is
/// cluster-scoped (`namespace` empty), its namespace. Fields in the order in which kube's `DynamicObject` has them.
pub fn deleted_object(gvk: &Gvk, namespace: &str, name: &str) -> Vec<u8> {
    let mut out = ByteBuf::new();
    // Memory as output has no errors: the type says so, and the patterns below are complete.
    let out_mut = &mut out;
    let Ok(_) = write_map_len(out_mut, 3);
    let Ok(()) = write_str(out_mut, "apiVersion");
    let Ok(()) = write_str(out_mut, &gvk.api_version());
    let Ok(()) = write_str(out_mut, "kind");
    let Ok(()) = write_str(out_mut, &gvk.kind);
    let Ok(()) = write_str(out_mut, "metadata");
    let Ok(_) = write_map_len(out_mut, if namespace.is_empty() { 1 } else { 2 });
    let Ok(()) = write_str(out_mut, "name");
    let Ok(()) = write_str(out_mut, name);
    if !namespace.is_empty() {
        let Ok(()) = write_str(out_mut, "namespace");
        let Ok(()) = write_str(out_mut, namespace);
    }
    out.into_vec()
}

/// An [`EncodeError`] on its way out of a writing closure, where `?` has to take the errors of three crates.
struct Unwritten(EncodeError);

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self(EncodeError::Write(error))
    }
}

impl From<rmp::encode::ValueWriteError<io::Error>> for Unwritten {
    fn from(error: rmp::encode::ValueWriteError<io::Error>) -> Self {
        Self(EncodeError::Write(error.into()))
    }
}

fn write_config(out: &mut impl Write, config: &serde_json::Value) -> Result<(), Unwritten> {
    use rmp_serde::encode::Error;
    rmp_serde::encode::write_named(out, config).map_err(|error| match error {
        Error::InvalidValueWrite(error) => error.into(),
        error => Unwritten(EncodeError::Config(error)),
    })
}

fn write_name(out: &mut impl Write, name: &str) -> Result<(), Unwritten> {
    if name.is_empty() || name.len() > TRACE_NAME_BYTES_MAX {
        return Err(Unwritten(EncodeError::InvalidName { bytes: name.len() }));
    }
    Ok(write_str(out, name)?)
}

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;
