//! From a trace file to a new store.
//!
//! The file is read twice: once to check all of it, so that a bad file changes nothing, then to record it in bounded
//! batches into a temporary store, which takes the wanted name when it is complete.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::sktrace::{TraceError, TraceSummary, TraceVisitor, check, read};
use crate::config::{ConfigError, TracerConfig};
use crate::ingest::{Imported, Writer};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OBSERVATIONS_MAX, PACKING_AT_CLOSE_SECONDS_MAX};
use crate::model::{Gvk, ObjectKey, Timestamp};
use crate::normalize::{self, NormalizeError, Redaction};
use crate::store::{Store, StoreError, folder_of, sync_folder_of};

/// Why an import failed. The store that was asked for does not exist then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is not a trace, or a damaged one.
    #[error("{path}: not a SimKube trace")]
    Trace {
        /// The file.
        path: String,
        /// What is wrong with it, and where.
        source: Box<TraceError>,
    },
    /// The trace's config cannot be used.
    #[error("the trace's config")]
    Config(#[from] ConfigError),
    /// An object of the trace cannot be stored.
    #[error("an object of the trace")]
    Object(#[from] NormalizeError),
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ImportError {
    fn while_writing(self, db: &Path) -> Self {
        match self {
            Self::Store(error) => Self::Store(error.while_writing(db)),
            other => other,
        }
    }
}

/// What an import redacts. The trace has no say in it: it may come from anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Store the data of Secrets as it is, instead of as digests (S8).
    pub store_secret_data: bool,
    /// Store literal values of environment variables as digests. The trace's lifecycles keep the pod-spec hashes that they
    /// have, so a replay of the store does not find those of pods with such values.
    pub redact_env: bool,
}

impl ImportOptions {
    /// The config of the run: the trace's, and what is redacted.
    fn apply_to(self, config: &mut TracerConfig) {
        config.redact_env = self.redact_env;
        for (_, kind) in config.tracked.iter_mut().filter(|(gvk, _)| gvk.is_secret()) {
            kind.store_secret_data = false;
        }
        if self.store_secret_data {
            // A trace's config names no kind without pods, but the record must say what was done.
            let secret = match config.tracked.keys().find(|gvk| gvk.is_secret()) {
                Some(gvk) => gvk.clone(),
                None => Gvk::new("", "v1", "Secret"),
            };
            config.tracked.entry(secret).or_default().store_secret_data = true;
        }
    }
}

/// Makes a store from a trace file. `go_on` is asked between batches; an error from it stops the import.
///
/// # Errors
/// [`ImportError`]; nothing is left behind then. A file that exists already is refused: an import makes a new store.
pub fn import(
    trace: &Path,
    db: &Path,
    options: ImportOptions,
    go_on: impl Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
) -> Result<TraceSummary, ImportError> {
    if db.exists() {
        return Err(StoreError::Exists {
            path: db.to_owned(),
        }
        .into());
    }
    let not_a_trace = |source| ImportError::Trace {
        path: trace.display().to_string(),
        source: Box::new(source),
    };
    let open = || File::open(trace).map_err(StoreError::io(trace, "cannot be opened"));
    let summary = check(open()?).map_err(not_a_trace)?;

    let folder = tempfile::Builder::new()
        .prefix(".sk-tracedb-import-")
        .tempdir_in(folder_of(db))
        .map_err(StoreError::io(db, "cannot be written"))?;
    let temporary = folder.path().join("store");
    // All that is written is the new store.
    let writer = Store::create(&temporary)
        .and_then(Writer::new)
        .map_err(|error| error.while_writing(db))?;
    let mut recording = Recording {
        writer,
        summary: &summary,
        options,
        redaction: None,
        go_on: &go_on,
        batch: Vec::new(),
        batch_bytes: 0,
        events: 0,
        last_lifecycle: Timestamp::MIN,
        event_at: Timestamp::from_seconds(0),
    };
    read(open()?, &mut recording).map_err(|error| match error {
        TraceError::Visitor(error) => error.while_writing(db),
        TraceError::Read { offset, source } => not_a_trace(TraceError::Read { offset, source }),
        TraceError::Invalid(invalid) => not_a_trace(TraceError::Invalid(invalid)),
    })?;
    recording
        .finish()
        .map_err(|error| error.while_writing(db))?;
    // A link, unlike a rename, never replaces a file that somebody else has put there meanwhile.
    std::fs::hard_link(&temporary, db).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::Exists {
            path: db.to_owned(),
        },
        _ => StoreError::io(db, "cannot be written")(error),
    })?;
    sync_folder_of(db)?;
    Ok(summary)
}

/// Writes what a trace holds into a store, in bounded batches.
struct Recording<'a> {
    writer: Writer,
    summary: &'a TraceSummary,
    options: ImportOptions,
    /// Known from the config on, which comes first in a trace.
    redaction: Option<Redaction>,
    go_on: &'a dyn Fn() -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    batch: Vec<(Timestamp, Imported)>,
    batch_bytes: usize,
    events: u64,
    event_at: Timestamp,
    /// The last thing that any lifecycle tells: pods start and end after the last event, too.
    last_lifecycle: Timestamp,
}

impl Recording<'_> {
    fn push(&mut self, fact: Imported, bytes: usize) -> Result<(), ImportError> {
        self.batch.push((self.event_at, fact));
        self.batch_bytes += bytes;
        if self.batch.len() >= BATCH_OBSERVATIONS_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ImportError> {
        (self.go_on)().map_err(ImportError::Stopped)?;
        self.batch_bytes = 0;
        self.writer.append_imported(self.batch.drain(..))?;
        Ok(())
    }

    /// Ends the record behind the last event and closes the file.
    fn finish(mut self) -> Result<(), ImportError> {
        self.commit()?;
        let end = self
            .summary
            .last_ts
            .map_or(self.event_at, Timestamp::from_seconds);
        self.writer.end_run(end.max(self.last_lifecycle))?;
        let time_max = Duration::from_secs(PACKING_AT_CLOSE_SECONDS_MAX);
        self.writer.pack_all(time_max)?;
        Ok(self.writer.into_store().close()?)
    }
}

impl TraceVisitor for Recording<'_> {
    type Error = ImportError;

    fn config(&mut self, config: Value) -> Result<(), ImportError> {
        // JSON is YAML: the trace's config is read as the file it came from.
        let (mut config, warnings) = TracerConfig::parse(&config.to_string())?;
        self.options.apply_to(&mut config);
        for warning in warnings {
            tracing::warn!("the trace's config: {warning}");
        }
        let start = Timestamp::from_seconds(self.summary.first_ts.unwrap_or_default());
        self.writer.begin_run(start, &config, "import", None)?;
        self.redaction = Some(Redaction::new(self.writer.redaction_key()?, &config));
        Ok(())
    }

    fn event_started(&mut self, ts_seconds: i64) -> Result<(), ImportError> {
        self.event_at = Timestamp::from_seconds(ts_seconds);
        Ok(())
    }

    fn applied(&mut self, object: Value) -> Result<(), ImportError> {
        let Some(redaction) = &self.redaction else {
            let reason = "the trace's objects come before its config";
            return Err(StoreError::Refused(reason.to_owned()).into());
        };
        let object = normalize::imported(redaction, object)?;
        let bytes = object.body.len();
        self.push(
            Imported::Applied {
                object: Box::new(object),
                initial: self.events == 0,
            },
            bytes,
        )
    }

    fn deleted(&mut self, object: Value) -> Result<(), ImportError> {
        self.push(
            Imported::Deleted {
                key: key_of(&object),
            },
            0,
        )
    }

    fn event_finished(&mut self) -> Result<(), ImportError> {
        self.events += 1;
        Ok(())
    }

    /// The index is made anew by every export.
    fn index_entry(&mut self, _gvk: &Gvk, _name: &str, _hash: u64) -> Result<(), ImportError> {
        Ok(())
    }

    fn lifecycle(
        &mut self,
        owner_gvk: &Gvk,
        owner_name: &str,
        pod_spec_hash: u64,
        start_s: i64,
        end_s: Option<i64>,
    ) -> Result<(), ImportError> {
        let last = Timestamp::from_seconds(end_s.unwrap_or(start_s));
        self.last_lifecycle = self.last_lifecycle.max(last);
        let fact = Imported::Lifecycle {
            gvk: owner_gvk.clone(),
            name: owner_name.to_owned(),
            pod_spec_hash,
            start: Timestamp::from_seconds(start_s),
            end: end_s.map(Timestamp::from_seconds),
        };
        self.push(fact, 0)
    }
}

/// The name of an object of a trace: the reader has checked that it has one.
fn key_of(object: &Value) -> ObjectKey {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let gvk = Gvk::from_api_version(text("/apiVersion"), text("/kind"));
    ObjectKey::new(
        gvk.group,
        gvk.kind,
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a trace that decides for itself to have its Secrets stored in clear.
    use super::*;

    #[test]
    fn a_trace_cannot_opt_in() {
        let text = "trackedObjects: {v1.Secret: {storeSecretData: true}, v1.ConfigMap: {}}";
        let (mut config, _) = TracerConfig::parse(text).unwrap();
        ImportOptions::default().apply_to(&mut config);
        assert!(!config.to_json().contains("storeSecretData"));
        let told = ImportOptions {
            store_secret_data: true,
            redact_env: true,
        };
        let (mut config, _) = TracerConfig::parse("trackedObjects: {}").unwrap();
        told.apply_to(&mut config);
        let json = config.to_json();
        assert!(
            json.contains("storeSecretData") && json.contains("redactEnv"),
            "{json}"
        );
        assert_eq!(TracerConfig::from_json(&json).unwrap(), config);
    }
}
