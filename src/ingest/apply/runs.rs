//! Runs: when a recorder ran, under which config, and what a changed config means for the record (R10, R16, R17).

use super::Apply;
use super::watches::new_watch;
use crate::config::{ChangeScope, TracerConfig, TrackedKind};
use crate::ingest::state::Watch;
use crate::model::{Gvk, Timestamp, WatchId};
use crate::store::rows::{GapRow, RunRow};
use crate::store::tables::{ReadableTable, get, put, row};
use crate::store::{StoreError, claim_cluster, ensure_redaction_key};

/// How a run begins.
pub(in super::super) struct RunStart<'a> {
    pub(in super::super) at: Timestamp,
    pub(in super::super) config: &'a TracerConfig,
    /// `record`, `import` or `demo`.
    pub(in super::super) source: &'a str,
    /// UID of the cluster's kube-system namespace, where there is a cluster.
    pub(in super::super) cluster: Option<&'a str>,
}

impl Apply<'_, '_> {
    /// Begins a run: every watch that there was is blind since its last contact, a kind that is not tracked any more
    /// begins a gap, a kind that is new starts with its list.
    pub(in super::super) fn run_started(&mut self, run: &RunStart<'_>) -> Result<(), StoreError> {
        if let Some(cluster) = run.cluster {
            claim_cluster(&mut self.tables.meta, cluster)?;
        }
        // Releases that had no key stored Secrets as they are.
        let clear_before = self.state.redaction_key.is_none();
        self.state.redaction_key = Some(ensure_redaction_key(&mut self.tables.meta)?);
        if self.state.row.run == 0 {
            self.state.row.last_us = run.at.as_micros();
            self.state.row.first_us = run.at.as_micros();
        }
        // The run before may have ended without a word.
        self.note_run(false)?;
        let at = self.state.advance(run.at);
        let before = self.last_config()?;
        self.state.row.run += 1;
        self.state.config = run.config.clone();
        let row = RunRow {
            start_us: at.as_micros(),
            last_us: at.as_micros(),
            closed: false,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            source: run.source.to_owned(),
            config: run.config.to_json(),
        };
        put(&mut self.tables.runs, self.state.row.run, &row)?;
        self.turn_epoch()?;
        self.retarget_watches(at, &before, clear_before)
    }

    /// The config of the last run; the empty one where there was none.
    fn last_config(&self) -> Result<TracerConfig, StoreError> {
        let Some(row) = get::<_, RunRow>(&self.tables.runs, self.state.row.run)? else {
            return Ok(TracerConfig::default());
        };
        TracerConfig::from_json(&row.config).map_err(|error| StoreError::Damaged {
            table: "run_to_row",
            key: format!("run {}", self.state.row.run),
            reason: error.to_string(),
        })
    }

    /// Ends a run in good order.
    pub(in super::super) fn run_ended(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.state.advance(at);
        self.note_run(true)
    }

    /// Notes in the last run's row how far it has come, unless it has ended in good order. While it goes on, the writer's
    /// row tells that: one row less to write with every commit.
    fn note_run(&mut self, closed: bool) -> Result<(), StoreError> {
        if let Some(mut row) = get::<_, RunRow>(&self.tables.runs, self.state.row.run)?
            && !row.closed
        {
            row.last_us = self.state.row.last_us;
            row.closed = closed;
            put(&mut self.tables.runs, self.state.row.run, &row)?;
        }
        Ok(())
    }

    fn retarget_watches(
        &mut self,
        at: Timestamp,
        last: &TracerConfig,
        clear_before: bool,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<Gvk> = self.state.config.tracked.keys().cloned().collect();
        if !wanted.iter().any(Gvk::is_pod) {
            wanted.push(Gvk::pod());
        }
        let mut before = std::mem::take(&mut self.state.watches);
        let mut after = std::collections::BTreeMap::new();
        for watch in wanted {
            // The same kind in another version is the same watch.
            let same = |other: &&WatchId| other.group == watch.group && other.kind == watch.kind;
            let state = match before.keys().find(same).cloned() {
                None => new_watch(at),
                Some(old) => {
                    let Some(mut state) = before.remove(&old) else {
                        continue;
                    };
                    if old != watch {
                        self.tables.watches.remove(old.to_string().as_str())?;
                    }
                    let (now, then) = (
                        self.state.config.tracked.get(&watch),
                        last.tracked.get(&old),
                    );
                    let redacted_otherwise = self.state.config.redact_env != last.redact_env
                        || (clear_before && watch.is_secret());
                    let otherwise = redacted_otherwise || now.map(scope) != then.map(scope);
                    if now.is_some() && (old != watch || otherwise) {
                        // What was left out until now, or recorded otherwise, is told by a list only.
                        state.row.resource_version = None;
                        // The pods' watch, which there always is, has shown none of them as objects.
                        state.row.listed &= then.is_some() || !state.row.tracked;
                    }
                    let (now, then) = (now.is_some(), then.is_some());
                    state.dirty = true;
                    state.row.tracked = true;
                    if watch.is_pod() {
                        self.retarget_pods(&watch, &mut state, then, now)?;
                    }
                    self.open_gap(&watch, &mut state, "the recorder was not running")?;
                    state
                }
            };
            after.insert(watch, state);
        }
        for (watch, mut state) in before {
            state.dirty = true;
            state.row.tracked = false;
            // What happens to it from now on is not seen, so nothing can be resumed.
            state.row.resource_version = None;
            self.open_gap(&watch, &mut state, NOT_TRACKED)?;
            after.insert(watch, state);
        }
        self.state.watches = after;
        Ok(())
    }

    /// The pods' watch goes on for their lifecycles when the config stops tracking them as objects. What happens to the
    /// objects is then a gap of its own (R17), which the watch takes over once they are tracked again, and ends with its
    /// list.
    fn retarget_pods(
        &mut self,
        watch: &WatchId,
        state: &mut Watch,
        then: bool,
        now: bool,
    ) -> Result<(), StoreError> {
        if then && !now {
            self.state.row.last_gap += 1;
            let gap = GapRow {
                watch: watch.to_string(),
                start_us: state.row.blind_since_us.unwrap_or(state.row.contact_us),
                end_us: None,
                reason: NOT_TRACKED.to_owned(),
            };
            return put(&mut self.tables.gaps, self.state.row.last_gap, &gap);
        }
        if then || !now {
            return Ok(());
        }
        let Some((number, mut gap)) = self.gap_of_untracked_pods(watch)? else {
            return Ok(());
        };
        if let Some(own) = state.row.gap {
            // One gap is enough: it begins where the first of the two did.
            self.tables.gaps.remove(own)?;
            let since = state.row.blind_since_us.unwrap_or(gap.start_us);
            gap.start_us = gap.start_us.min(since);
            put(&mut self.tables.gaps, number, &gap)?;
        }
        state.row.gap = Some(number);
        state.row.blind_since_us = Some(gap.start_us);
        // They were listed once: what the next list shows came to be in the gap.
        state.row.listed = true;
        Ok(())
    }

    /// The open gap that [`Self::retarget_pods`] began.
    fn gap_of_untracked_pods(&self, watch: &WatchId) -> Result<Option<(u64, GapRow)>, StoreError> {
        for entry in self.tables.gaps.iter()?.rev() {
            let (number, value) = entry?;
            let gap: GapRow = row::<u64, _>(number.value(), value.value())?;
            if gap.end_us.is_none() && gap.watch == watch.to_string() && gap.reason == NOT_TRACKED {
                return Ok(Some((number.value(), gap)));
            }
        }
        Ok(None)
    }
}

/// Reason of a gap: the config in force does not track the kind.
const NOT_TRACKED: &str = "not tracked by the config";

/// What of a kind's entry decides on what is recorded of its objects.
fn scope(kind: &TrackedKind) -> (bool, Option<ChangeScope>, bool) {
    (kind.skip_owned, kind.changes, kind.store_secret_data)
}
