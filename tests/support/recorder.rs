//! A recorder without a cluster: a writer on a store in a temporary folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::{ExportFilters, ExportRequest, ExportSummary, export};
use sk_tracedb::ingest::{Committed, EpochPace, Writer};
use sk_tracedb::model::{Gvk, Item, ObjectKey, Observation, TimeRange, Timestamp};
use sk_tracedb::normalize::Redaction;
use sk_tracedb::query::{Gap, HistoryEntry, Info};
use sk_tracedb::{Reader, Snapshot, Store};

use super::build::{gvk, listed};
use super::trace::Trace;

/// A recorder that can be stopped, crashed and started again.
pub struct Recorder {
    folder: tempfile::TempDir,
    writer: Option<Writer>,
    pub config: TracerConfig,
    /// How quickly the epochs of its stores follow each other.
    pace: EpochPace,
}

/// The window [start, end) in seconds.
pub fn window(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_seconds(start), Timestamp::from_seconds(end)).unwrap()
}

/// An export and what was said of it.
pub struct Exported {
    pub bytes: Vec<u8>,
    pub trace: Trace,
    pub summary: ExportSummary,
}

/// Exports and decodes.
pub fn export_of(reader: &Reader, window: TimeRange, filters: ExportFilters) -> Exported {
    let request = ExportRequest { window, filters };
    let mut bytes = Vec::new();
    let summary = export(reader, &request, &mut bytes).unwrap();
    let trace = Trace::decode(&bytes);
    assert_eq!(trace.start_ts(), window.start.as_seconds());
    let changes = trace.changes();
    assert!(
        changes
            .iter()
            .all(|((ts, ..), _)| Timestamp::from_seconds(*ts) < window.end),
        "a change lies behind the window"
    );
    assert_eq!(summary.events, trace.events.len() as u64);
    assert_eq!(summary.start_objects, trace.start().len() as u64);
    let deleted = changes.iter().filter(|((_, deleted, ..), _)| *deleted);
    assert_eq!(summary.deleted, deleted.count() as u64);
    assert_eq!(summary.applied + summary.deleted, changes.len() as u64);
    let lifecycles = trace.lifecycles();
    let lifecycles = lifecycles.values().flat_map(|hashes| hashes.values());
    assert_eq!(
        summary.lifecycles,
        lifecycles.map(Vec::len).sum::<usize>() as u64
    );
    Exported {
        bytes,
        trace,
        summary,
    }
}

impl Recorder {
    /// A new store and its first run, from second 100 on.
    pub fn start(config: TracerConfig) -> Self {
        Self::start_at_pace(config, EpochPace::default())
    }

    /// The same with epochs that follow each other at this pace.
    pub fn start_at_pace(config: TracerConfig, pace: EpochPace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Self {
            folder,
            writer: None,
            config,
            pace,
        };
        recorder.run_from(Timestamp::from_seconds(100));
        recorder
    }

    /// A first run in which every kind of the config and the pods have been listed, and found empty, at 100.
    pub fn listed(config: TracerConfig) -> Self {
        let mut recorder = Self::start(config);
        recorder.list_nothing(Timestamp::from_seconds(100));
        recorder
    }

    /// Every watch of the config lists nothing.
    pub fn list_nothing(&mut self, at: Timestamp) {
        for watch in self.watches() {
            self.list(at, &watch, []);
        }
    }

    /// The watches of the config.
    pub fn watches(&self) -> Vec<Gvk> {
        let mut watches: Vec<Gvk> = self.config.tracked.keys().cloned().collect();
        if !watches.contains(&Gvk::pod()) {
            watches.push(Gvk::pod());
        }
        watches
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("trace.redb")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().unwrap()
    }

    /// Lends the writer to a thread.
    pub fn take_writer(&mut self) -> Writer {
        self.writer.take().unwrap()
    }

    /// Takes it back.
    pub fn put_writer(&mut self, writer: Writer) {
        self.writer = Some(writer);
    }

    /// What the run in progress redacts.
    pub fn redaction(&mut self) -> Redaction {
        let key = self.writer().redaction_key().unwrap();
        Redaction::new(key, &self.config)
    }

    /// Starts on the store as it is, with the config as it is.
    pub fn run_from(&mut self, at: Timestamp) {
        let mut writer = Writer::new(Store::open(self.path()).unwrap()).unwrap();
        writer.set_epoch_pace(self.pace);
        writer
            .begin_run(at, &self.config, "record", Some("cluster"))
            .unwrap();
        self.writer = Some(writer);
    }

    /// Ends in good order: every watch that sees has seen everything.
    pub fn stop(&mut self, at: Timestamp) {
        let watches = self.writer().resume_points().into_keys();
        self.see_all(
            at,
            watches.map(|watch| Observation::Ended {
                watch,
                complete_until: at,
            }),
        );
        self.end(at);
    }

    /// Ends in good order, after the watches have said what they have to say.
    pub fn end(&mut self, at: Timestamp) {
        let mut writer = self.writer.take().unwrap();
        writer.end_run(at).unwrap();
        // As a recorder's thread does: what is read and changed from here on is packed.
        writer.pack_all(Duration::MAX).unwrap();
        writer.into_store().close().unwrap();
    }

    /// Ends without a word to the store.
    pub fn crash(&mut self) {
        drop(self.writer.take().unwrap());
    }

    pub fn restart(&mut self, stop: Timestamp, start: Timestamp) {
        self.stop(stop);
        self.run_from(start);
    }

    pub fn see(&mut self, at: Timestamp, observation: Observation) -> Committed {
        self.batch([(at, observation)])
    }

    pub fn see_all(&mut self, at: Timestamp, observations: impl IntoIterator<Item = Observation>) {
        self.batch(observations.into_iter().map(|seen| (at, seen)));
    }

    pub fn batch(
        &mut self,
        batch: impl IntoIterator<Item = (Timestamp, Observation)>,
    ) -> Committed {
        self.writer().append(batch).unwrap()
    }

    /// A complete list of a kind. Returns the number of changes it made.
    pub fn list(
        &mut self,
        at: Timestamp,
        watch: &Gvk,
        items: impl IntoIterator<Item = Item>,
    ) -> u64 {
        let mut batch = vec![Observation::ListStarted {
            watch: watch.clone(),
        }];
        batch.extend(items.into_iter().map(|item| listed(watch, item)));
        batch.push(Observation::ListFinished {
            watch: watch.clone(),
            resource_version: "10".to_owned(),
        });
        let batch = batch.into_iter().map(|seen| (at, seen));
        self.batch(batch).changes
    }

    pub fn blind(&mut self, at: Timestamp, kind: &str, reason: &str) {
        let blind = Observation::Blind {
            watch: gvk(kind),
            reason: reason.to_owned(),
        };
        self.see(at, blind);
    }

    pub fn sighted(&mut self, at: Timestamp, kind: &str) {
        self.see(at, Observation::Sighted { watch: gvk(kind) });
    }

    pub fn bookmark(&mut self, at: Timestamp, kind: &str) {
        let bookmark = Observation::Bookmark {
            watch: gvk(kind),
            resource_version: "5".to_owned(),
        };
        self.see(at, bookmark);
    }

    pub fn reader(&self) -> Reader {
        match &self.writer {
            Some(writer) => writer.reader(),
            None => Reader::open(self.path()).unwrap(),
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.reader().snapshot().unwrap()
    }

    pub fn info(&self) -> Info {
        self.snapshot().info().unwrap()
    }

    pub fn gaps(&self, window: TimeRange) -> Vec<Gap> {
        let snapshot = self.snapshot();
        snapshot.gaps(window).unwrap().map(Result::unwrap).collect()
    }

    /// `(kind, start, end)` of the gaps that touch a window, in seconds.
    pub fn gap_times(&self, window: TimeRange) -> Vec<(String, i64, Option<i64>)> {
        let seconds = |gap: Gap| {
            let end = gap.end.map(Timestamp::as_seconds);
            (gap.kind, gap.start.as_seconds(), end)
        };
        let mut gaps: Vec<_> = self.gaps(window).into_iter().map(seconds).collect();
        gaps.sort();
        gaps
    }

    pub fn export(&self, start: i64, end: i64) -> Exported {
        self.export_with(start, end, ExportFilters::default())
    }

    pub fn export_with(&self, start: i64, end: i64, filters: ExportFilters) -> Exported {
        export_of(&self.reader(), window(start, end), filters)
    }

    /// `kind name uid` of everything that exists at a time, in the order of the store.
    pub fn state(&self, at: Timestamp) -> Vec<String> {
        let snapshot = self.snapshot();
        let named = |version: sk_tracedb::query::ObjectVersion| {
            let name = version.key.namespaced_name();
            format!("{} {name} {}", version.key.kind, version.uid)
        };
        snapshot
            .state_at(at)
            .unwrap()
            .map(|version| named(version.unwrap()))
            .collect()
    }

    pub fn history(&self, key: &ObjectKey) -> Vec<HistoryEntry> {
        let snapshot = self.snapshot();
        let history = snapshot.history(key, TimeRange::ALL).unwrap();
        history.map(Result::unwrap).collect()
    }

    /// `105 + uid`, `110 - uid (after 107)` for each change of an object.
    pub fn story(&self, key: &ObjectKey) -> Vec<String> {
        let told = |entry: HistoryEntry| {
            let sign = match entry.action {
                sk_tracedb::model::Action::Apply => '+',
                sk_tracedb::model::Action::Delete => '-',
            };
            let since = entry
                .since
                .map(|since| format!(" (after {})", since.as_seconds()));
            let initial = if entry.initial { " (initial)" } else { "" };
            let at = entry.event.at.as_seconds();
            format!(
                "{at} {sign} {}{}{initial}",
                entry.uid,
                since.unwrap_or_default()
            )
        };
        self.history(key).into_iter().map(told).collect()
    }
}
