//! What was asked for over HTTP: exports and backups.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::{Labels, Scrape, counter, load};
use crate::serve::backup::BackupSlots;
use crate::serve::export_slots::ExportCounts;

impl Scrape {
    pub(super) fn exports(&mut self, counts: &ExportCounts) {
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

    pub(super) fn backups(&mut self, backups: &BackupSlots) {
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
}
