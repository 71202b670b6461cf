//! `/metrics`, for Prometheus. Names begin with `sk_tracedb_` and say their unit.
//!
//! Every scrape reads the counters where they live (the writer, the watches, the exports, the store) into a registry of
//! its own: there is no second copy of a number that could be forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Metric, Registry, Unit};

use super::backup::BackupSlots;
use super::export_slots::ExportCounts;
use super::refusal::{Refusal, with_causes};
use super::routes::App;
use super::status::RecorderStatus;
use crate::ingest::{RetentionStats, WriterStats};
use crate::limits::QUEUE_OBSERVATIONS_MAX;
use crate::model::WatchId;
use crate::query::Info;
use crate::store::{CopyGraceStats, Reader};
use crate::watch::{WatchCounters, WatchReport};

const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    // Reads the store.
    let text = tokio::task::spawn_blocking(move || scrape(&app)).await;
    match text {
        Ok(Ok(text)) => {
            let mut response = text.into_response();
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
            Ok(response)
        }
        Ok(Err(error)) => Err(Refusal::internal(error.to_string())),
        Err(_) => Err(Refusal::internal("the scrape stopped; this is a bug")),
    }
}

fn scrape(app: &App) -> Result<String, std::fmt::Error> {
    let mut scrape = Scrape(Registry::default());
    scrape.program();
    scrape.writer(app.recorder.writer());
    scrape.retention(&app.recorder.writer().retention);
    scrape.recorder(&*app.recorder);
    scrape.copy_grace(app.recorder.copy_grace());
    scrape.watches(&app.recorder.watches());
    scrape.exports(app.slots.counts());
    scrape.backups(&app.backups);
    scrape.store(&app.reader);
    let mut text = String::new();
    encode(&mut text, &scrape.0)?;
    Ok(text)
}

type Labels = Vec<(&'static str, String)>;

struct Scrape(Registry);

impl Scrape {
    fn add(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(format!("sk_tracedb_{name}"), help, metric);
    }

    fn add_in(&mut self, unit: Unit, name: &str, help: &str, metric: impl Metric) {
        self.0
            .register_with_unit(format!("sk_tracedb_{name}"), help, unit, metric);
    }

    fn program(&mut self) {
        let build = Family::<Labels, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        build.get_or_create(&vec![("version", version)]).set(1);
        self.add("build_info", "The release that runs", build);
        if let Some(bytes) = resident_bytes() {
            let help = "Memory that the process has in RAM";
            self.add_in(
                Unit::Bytes,
                "process_resident_memory",
                help,
                ConstGauge::new(bytes),
            );
        }
    }

    fn writer(&mut self, stats: &WriterStats) {
        let seconds = |us: &AtomicU64| load(us) as f64 / 1e6;
        self.add("commits", "Durable transactions", counter(&stats.commits));
        self.add(
            "observations",
            "Observations applied",
            counter(&stats.observations),
        );
        self.add("changes", "Changes recorded", counter(&stats.changes));
        self.add(
            "recording_paused",
            "1 while the storage fails and what is seen waits to be recorded",
            ConstGauge::new(i64::from(stats.pause().is_some())),
        );
        self.add(
            "write_failures",
            "Writes that the storage failed",
            counter(&stats.write_failures),
        );
        self.add_in(
            Unit::Bytes,
            "reserve",
            "Size of the reserve file beside the store; 0 once it was given up to a full disk",
            ConstGauge::new(load(&stats.reserve_bytes)),
        );
        self.add_in(
            Unit::Seconds,
            "commit",
            "Time spent applying and committing observations",
            ConstCounter::new(seconds(&stats.busy_us)),
        );
        self.add_in(
            Unit::Seconds,
            "commit_slowest",
            "The longest commit since the start, with what it applied",
            ConstGauge::new(seconds(&stats.slowest_us)),
        );
        self.add_in(
            Unit::Seconds,
            "last_commit_timestamp",
            "Time of the last commit, Unix; 0 before the first",
            ConstGauge::new(seconds(&stats.last_commit_us)),
        );
    }

    fn retention(&mut self, stats: &RetentionStats) {
        let seconds = |us: &AtomicU64| load(us) as f64 / 1e6;
        self.add(
            "retention_changes",
            "Changes dropped by retention",
            counter(&stats.changes),
        );
        self.add(
            "retention_rows",
            "Other rows dropped by retention",
            counter(&stats.rows),
        );
        self.add_in(
            Unit::Seconds,
            "retention",
            "Time spent by retention",
            ConstCounter::new(seconds(&stats.busy_us)),
        );
        self.add_in(
            Unit::Seconds,
            "retention_slowest",
            "The longest time that retention held back a commit since the start",
            ConstGauge::new(seconds(&stats.slowest_us)),
        );
        let limit = load(&stats.size_limit_bytes);
        if limit > 0 {
            self.add_in(
                Unit::Bytes,
                "retention_size_limit",
                "Bytes that the store's file may take",
                ConstGauge::new(limit),
            );
        }
    }

    fn recorder(&mut self, recorder: &dyn RecorderStatus) {
        let ready = i64::from(recorder.readiness().ready);
        self.add(
            "ready",
            "1 once the first lists are done and committed",
            ConstGauge::new(ready),
        );
        self.add(
            "queue_observations",
            "Observations waiting for the writer",
            ConstGauge::new(recorder.queue_depth()),
        );
        self.add(
            "queue_observations_max",
            "Observations that can wait for the writer",
            ConstGauge::new(QUEUE_OBSERVATIONS_MAX),
        );
        let owners = recorder.owner_lookups();
        let results = Family::<Labels, Counter>::default();
        for (result, count) in [
            ("found", owners.found),
            ("gone", owners.gone),
            ("failed", owners.failures),
        ] {
            results
                .get_or_create(&vec![("result", result.to_owned())])
                .inc_by(count);
        }
        self.add(
            "owner_lookups",
            "Single look-ups of owners",
            ConstCounter::new(owners.lookups),
        );
        self.add(
            "owner_lists",
            "Lists of a kind in place of single look-ups of owners",
            ConstCounter::new(owners.lists),
        );
        self.add("owner_answers", "Answers about owners", results);
    }

    fn watches(&mut self, watches: &BTreeMap<WatchId, WatchReport>) {
        let states = Family::<Labels, Gauge>::default();
        for (watch, report) in watches {
            let labels = vec![
                ("kind", watch.to_string()),
                ("state", report.state.name().to_owned()),
            ];
            states.get_or_create(&labels).set(1);
        }
        self.add(
            "watch_state",
            "1 for the state that the watch of a kind is in",
            states,
        );
        type Count = fn(&WatchCounters) -> u64;
        let counts: [(&str, &str, Count); 11] = [
            ("lists", "Lists begun", |c| c.lists),
            ("lists_finished", "Lists finished", |c| c.lists_finished),
            ("list_pages", "Pages of lists read", |c| c.pages),
            ("list_items", "Items of lists read", |c| c.items),
            ("watches", "Watches opened", |c| c.watches),
            ("watch_events", "Changes delivered by watches", |c| c.events),
            ("watch_bookmarks", "Bookmarks delivered by watches", |c| {
                c.bookmarks
            }),
            (
                "watch_expired",
                "Times that the server no longer had what comes next (410)",
                |c| c.expired,
            ),
            (
                "watch_failures",
                "Requests that failed, watches that fell silent",
                |c| c.failures,
            ),
            (
                "watch_unreadable",
                "Items and events that could not be read, every try counted",
                |c| c.unreadable,
            ),
            (
                "watch_skipped_events",
                "Events given up: what they told is not in the record",
                |c| c.skipped_events,
            ),
        ];
        for (name, help, count) in counts {
            let family = Family::<Labels, Counter>::default();
            for (watch, report) in watches {
                family
                    .get_or_create(&vec![("kind", watch.to_string())])
                    .inc_by(count(&report.counters));
            }
            self.add(name, help, family);
        }
    }

    fn copy_grace(&mut self, stats: Option<&CopyGraceStats>) {
        let Some(stats) = stats else { return };
        self.add(
            "copy_pins",
            "Read transactions that keep pages for plain copies of the live file",
            ConstGauge::new(load(&stats.pins)),
        );
        self.add(
            "copy_pins_given_up",
            "How often they were given up for want of room; copies may be torn then",
            counter(&stats.given_up),
        );
    }

    fn exports(&mut self, counts: &ExportCounts) {
        let outcomes = Family::<Labels, Counter>::default();
        for (outcome, count) in [
            ("completed", &counts.completed),
            ("failed", &counts.failed),
            ("refused", &counts.refused),
            ("cancelled", &counts.cancelled),
            ("turned_away", &counts.turned_away),
        ] {
            outcomes
                .get_or_create(&vec![("outcome", outcome.to_owned())])
                .inc_by(load(count));
        }
        self.add("exports", "Exports by how they ended", outcomes);
        self.add(
            "exports_in_progress",
            "Exports under way",
            ConstGauge::new(load(&counts.in_progress)),
        );
        self.add_in(
            Unit::Bytes,
            "export",
            "Bytes of completed exports",
            counter(&counts.bytes),
        );
    }

    fn backups(&mut self, backups: &BackupSlots) {
        let outcomes = Family::<Labels, Counter>::default();
        for (outcome, count) in [
            ("completed", &backups.completed),
            ("failed", &backups.failed),
        ] {
            outcomes
                .get_or_create(&vec![("outcome", outcome.to_owned())])
                .inc_by(load(count));
        }
        self.add("backups", "Backups over HTTP by how they ended", outcomes);
        self.add_in(
            Unit::Seconds,
            "backup_pinned",
            "How long the last backup kept pages of the live file from being reused",
            ConstGauge::new(load(&backups.pinned_ms) as f64 / 1e3),
        );
    }

    /// What the store says of itself. A store that cannot be read is itself a number here.
    fn store(&mut self, reader: &Reader) {
        let info = reader.snapshot().and_then(|snapshot| snapshot.info());
        self.add(
            "store_readable",
            "Whether this scrape could read the store",
            ConstGauge::new(i64::from(info.is_ok())),
        );
        match &info {
            Ok(info) => self.record(info),
            Err(error) => {
                tracing::warn!(
                    error = with_causes(error),
                    "the store could not be read for metrics"
                );
            }
        }
        if let Ok(file) = fs::metadata(reader.path()) {
            self.add_in(
                Unit::Bytes,
                "store_file",
                "Length of the store's file, which is sparse",
                ConstGauge::new(file.len()),
            );
            self.add_in(
                Unit::Bytes,
                "store_allocated",
                "Bytes that the file system has allocated for the store",
                ConstGauge::new(file.blocks().saturating_mul(512)),
            );
        }
    }

    fn record(&mut self, info: &Info) {
        let objects = Family::<Labels, Gauge>::default();
        for kind in &info.kinds {
            let existing = i64::try_from(kind.objects).unwrap_or(i64::MAX);
            objects
                .get_or_create(&vec![("kind", kind.kind.clone())])
                .set(existing);
        }
        self.add("objects", "Objects that exist, by kind", objects);
        self.add(
            "record_changes",
            "Changes in the record",
            ConstGauge::new(info.changes),
        );
        self.add(
            "record_pods",
            "Pods in the record",
            ConstGauge::new(info.pods),
        );
        self.add_in(
            Unit::Bytes,
            "record_raw",
            "Size of all recorded objects as MessagePack",
            ConstGauge::new(info.raw_bytes),
        );
        self.add(
            "wanted_owners",
            "Owners that are referred to and still unknown",
            ConstGauge::new(info.wanted_owners),
        );
        let open = info.gaps.iter().filter(|gap| gap.end.is_none()).count();
        self.add(
            "gaps_open",
            "Kinds that the record cannot see now",
            ConstGauge::new(open),
        );
        self.add(
            "gaps",
            "Gaps in the record",
            ConstGauge::new(info.gaps.len()),
        );
        self.add(
            "runs",
            "Runs in the record",
            ConstGauge::new(info.runs.len()),
        );
        for (name, help, at) in [
            (
                "record_start_timestamp",
                "When the record begins, Unix",
                info.start,
            ),
            (
                "record_end_timestamp",
                "When the record ends, Unix",
                info.end,
            ),
            (
                "horizon_timestamp",
                "Where retention has ended the record's past, Unix",
                info.horizon,
            ),
        ] {
            if let Some(at) = at {
                let seconds = at.as_micros() as f64 / 1e6;
                self.add_in(Unit::Seconds, name, help, ConstGauge::new(seconds));
            }
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn counter(value: &AtomicU64) -> ConstCounter {
    ConstCounter::new(load(value))
}

/// `VmRSS` of this process; `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
