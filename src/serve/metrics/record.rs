//! The record: what the store holds, and the file that it is in.

use std::fs;
use std::os::unix::fs::MetadataExt;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Unit;

use super::{Labels, Scrape};
use crate::query::Info;
use crate::serve::refusal::with_causes;
use crate::store::Reader;

impl Scrape {
    /// What the store says of itself. A store that cannot be read is itself a number here.
    pub(super) fn store(&mut self, reader: &Reader) {
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
