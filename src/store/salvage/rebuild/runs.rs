//! Runs and gaps: what is missing of them, and a run to stand for those that are lost. Without one there is no record to
//! export.

use redb::ReadableTable;
use serde_json::{Map, Value, json};

use super::Rebuild;
use crate::config::TracerConfig;
use crate::model::Gvk;
use crate::store::lookup::{FIRST, LAST};
use crate::store::rows::{PodRow, RunRow, WatchRow};
use crate::store::tables::{ReadTables, Rows, put, row};
use crate::store::{StoreError, headers};

/// Where the run comes from that is made anew.
const SOURCE: &str = "salvage";

impl Rebuild<'_, '_> {
    /// Counts the runs and gaps that are missing. Makes a run that spans what was saved, where none is left.
    pub(super) fn runs(&mut self) -> Result<(), StoreError> {
        let tables = self.read()?;
        let (mut first, mut last, mut count) = (None, 0, 0);
        for entry in tables.runs.iter()? {
            let (number, value) = entry?;
            let run: RunRow = row::<u64, _>(number.value(), value.value())?;
            if self.writer_lost {
                self.writer.last_us = self.writer.last_us.max(run.last_us);
            }
            last = number.value();
            first.get_or_insert((last, run.start_us));
            count += 1;
        }
        self.writer.run = self.writer.run.max(last);
        // Retention drops the first ones.
        let expected_from = match first {
            Some((first, _)) if !self.writer.horizon().is_none() => first,
            None if !self.writer.horizon().is_none() => self.writer.run,
            _ => 1,
        };
        self.salvage.runs_lost = (self.writer.run + 1)
            .saturating_sub(expected_from)
            .saturating_sub(count);
        let gaps = tables.gaps.iter()?.count() as u64;
        if !self.salvage.is_intact && self.writer.horizon().is_none() {
            // A few are dropped on purpose: two that are joined.
            self.salvage.gaps_lost_max = self.writer.last_gap.saturating_sub(gaps);
        }
        if self.writer_lost {
            self.times(&tables, first.map(|(_, start_us)| start_us))?;
            self.salvage.notes.push(
                "the row of the writer was lost: what came after the last change is not known, nor whether lifecycles and \
                 gaps at the end are missing"
                    .to_owned(),
            );
        }
        if count > 0 || (self.salvage.changes == 0 && self.salvage.pods == 0) {
            return Ok(());
        }
        let config = self.config_of_what_was_saved(&tables)?;
        drop(tables);
        self.writer.run = self.writer.run.max(1);
        self.salvage.runs_lost = self.salvage.runs_lost.max(1);
        let run = RunRow {
            start_us: self.writer.first_us,
            last_us: self.writer.last_us,
            closed: false,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            source: SOURCE.to_owned(),
            config: config.to_json(),
        };
        self.salvage.notes.push(
            "no run of a recorder was left: one was made that spans what was saved, and tracks the kinds that were found \
             with their lifecycles; when the recorder did not run is not known"
                .to_owned(),
        );
        let number = self.writer.run;
        self.write(|tables| put(&mut tables.runs, number, &run))
    }

    /// When the record begins and ends, as far as what was saved tells.
    fn times(&mut self, tables: &ReadTables, first_run_us: Option<i64>) -> Result<(), StoreError> {
        let event = headers::range(tables, FIRST, LAST)?.next().transpose()?;
        let mut first_us = event.map(|(event, _)| event.at.as_micros());
        let mut earlier = |us: Option<i64>| {
            if let Some(us) = us {
                first_us = Some(first_us.map_or(us, |first| first.min(us)));
            }
        };
        earlier(first_run_us);
        for entry in tables.pods.iter()? {
            let (number, value) = entry?;
            let pod: PodRow = row::<u64, _>(number.value(), value.value())?;
            // Where there are no changes, lifecycles are all that tells. What was started before the record began is as
            // usual as not.
            if event.is_none() {
                earlier(pod.times.start_us);
            }
            let told = pod.times.end_us.max(pod.times.start_us);
            self.writer.last_us = self.writer.last_us.max(told.unwrap_or(0));
        }
        self.writer.first_us = first_us.unwrap_or(0);
        Ok(())
    }

    /// A config that tracks what the saved record holds.
    fn config_of_what_was_saved(&self, tables: &ReadTables) -> Result<TracerConfig, StoreError> {
        let mut found: Vec<Gvk> = Vec::new();
        // The newest version of a kind is the one that is tracked.
        for kind in self.kinds.values().rev() {
            if kind.applies > 0 {
                found.push(kind.gvk());
            }
        }
        for entry in tables.watches.iter()? {
            let (name, value) = entry?;
            let watch: WatchRow = row::<&str, _>(name.value(), value.value())?;
            // There always is a watch on pods.
            if let Ok(gvk) = name.value().parse::<Gvk>()
                && watch.tracked
                && !gvk.is_pod()
            {
                found.push(gvk);
            }
        }
        let mut tracked: Map<String, Value> = Map::new();
        let mut seen: Vec<(String, String)> = Vec::new();
        for gvk in found {
            let name = (gvk.group.clone(), gvk.kind.clone());
            if !seen.contains(&name) {
                seen.push(name);
                tracked.insert(gvk.to_string(), json!({}));
            }
        }
        let text = json!({"trackedObjects": tracked}).to_string();
        let mut config = TracerConfig::from_json(&text).map_err(|error| StoreError::Damaged {
            table: "kind_id_to_kind",
            key: String::new(),
            reason: error.to_string(),
        })?;
        for (gvk, kind) in &mut config.tracked {
            kind.track_lifecycle = !gvk.is_pod() && !kind.pod_spec_template_paths.is_empty();
        }
        Ok(config)
    }
}
