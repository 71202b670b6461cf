//! The recorder at work: its writer, retention, the pages kept for copies, the queue, owner look-ups.

use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::{Labels, Scrape, counter, load};
use crate::ingest::{RetentionStats, WriterStats};
use crate::limits::QUEUE_OBSERVATIONS_MAX;
use crate::serve::status::RecorderStatus;
use crate::store::CopyGraceStats;

impl Scrape {
    pub(super) fn writer(&mut self, stats: &WriterStats) {
        self.add(
            "commits",
            "Durable transactions",
            ConstCounter::new(stats.batches.count()),
        );
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
            ConstCounter::new(stats.batches.sum().as_secs_f64()),
        );
        self.add_in(
            Unit::Seconds,
            "commit_slowest",
            "The longest commit since the start, with what it applied",
            ConstGauge::new(stats.batches.max().as_secs_f64()),
        );
        self.add_in(
            Unit::Seconds,
            "last_commit_timestamp",
            "Time of the last commit, Unix; 0 before the first",
            ConstGauge::new(load(&stats.last_commit_us) as f64 / 1e6),
        );
    }

    pub(super) fn retention(&mut self, stats: &RetentionStats) {
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
            ConstCounter::new(stats.pieces.sum().as_secs_f64()),
        );
        for (name, help, longest) in [
            (
                "retention_slowest",
                "The longest time that retention held back a commit since the start",
                stats.pieces.max(),
            ),
            (
                "retention_work_slowest",
                "The same without the storage's part, the commit",
                stats.work.max(),
            ),
        ] {
            let seconds = ConstGauge::new(longest.as_secs_f64());
            self.add_in(Unit::Seconds, name, help, seconds);
        }
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

    pub(super) fn recorder(&mut self, recorder: &dyn RecorderStatus) {
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

    pub(super) fn copy_grace(&mut self, stats: Option<&CopyGraceStats>) {
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
}
