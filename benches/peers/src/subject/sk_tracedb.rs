//! sk-tracedb itself, through the same [`Writer`] that its recorder runs. It does more than the peers: it compares every
//! change with the object's last one, and keeps pod lifecycles, owners and the watches' resource versions.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sk_tracedb::config::TracerConfig;
use sk_tracedb::export::{ExportFilters, ExportRequest, ExportSummary, export};
use sk_tracedb::ingest::{PackingSchedule, Writer};
use sk_tracedb::model::{
    Action, Gvk, Item, ObjectKey, Observation, ObservedObject, ObservedPod, OwnerFacts, OwnerRef,
    PodTimes, TimeRange, Timestamp, Uid,
};
use sk_tracedb::workload::{Workload, WorkloadOptions};
use sk_tracedb::{Reader, Store};

use super::{Scanned, Subject};
use crate::change::{Change, Owner, Row};
use crate::stream::Stream;

/// See the module.
pub struct SkTracedb {
    writer: Writer,
    packing: PackingSchedule,
    last: Timestamp,
}

/// Observations of one batch.
pub struct Observations {
    /// With their times.
    pub seen: Vec<(Timestamp, Observation)>,
    /// Changes among them.
    pub changes: u64,
}

/// The database in a folder.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("changes.redb")
}

/// The window that holds everything, in whole seconds.
pub fn window(stream: &Stream) -> Result<TimeRange> {
    let start = begin(stream);
    let end = Timestamp::from_micros(stream.last_us).as_seconds() + 1;
    Ok(TimeRange::new(start, Timestamp::from_seconds(end))?)
}

/// When the run begins: the second before the first change.
fn begin(stream: &Stream) -> Timestamp {
    Timestamp::from_seconds(Timestamp::from_micros(stream.first_us).as_seconds() - 1)
}

/// Writes the trace of everything.
pub fn export_all(folder: &Path, stream: &Stream, out: impl Write) -> Result<ExportSummary> {
    let request = ExportRequest {
        window: window(stream)?,
        filters: ExportFilters {
            include_cluster_scoped: true,
            ..ExportFilters::default()
        },
    };
    Ok(export(&Reader::open(database(folder))?, &request, out)?)
}

/// How long a store may be packed before it is closed.
const PACKING_MAX: Duration = Duration::from_secs(60);

impl SkTracedb {
    /// The writer, at work.
    pub fn into_writer(self) -> Writer {
        self.writer
    }

    /// Closes a writer as a recorder does: packed.
    pub fn close_writer(mut writer: Writer) -> Result<()> {
        writer.pack_all(PACKING_MAX)?;
        Ok(writer.into_store().close()?)
    }
}

impl Subject for SkTracedb {
    type Batch = Observations;

    fn create(folder: &Path, stream: &Stream) -> Result<Self> {
        let workload = Workload::new(WorkloadOptions::default());
        let (config, _) = TracerConfig::parse(workload.config())?;
        let at = begin(stream);
        let mut writer = Writer::new(Store::create(database(folder))?)?;
        writer.begin_run(at, &config, "bench", None)?;
        // The cluster is empty, and every watch has seen that: nothing is inferred afterwards.
        for watch in config.tracked.keys() {
            let lists = [
                Observation::ListStarted {
                    watch: watch.clone(),
                },
                Observation::ListFinished {
                    watch: watch.clone(),
                    resource_version: "1".to_owned(),
                },
            ];
            writer.append(lists.map(|list| (at, list)))?;
        }
        Ok(Self {
            writer,
            packing: PackingSchedule::default(),
            last: at,
        })
    }

    fn prepare(changes: Vec<Change>) -> Observations {
        let count = changes.len() as u64;
        Observations {
            seen: changes.into_iter().flat_map(observations).collect(),
            changes: count,
        }
    }

    fn append(&mut self, batch: &Observations) -> Result<()> {
        let seen = batch.seen.iter().map(|(at, seen)| (*at, seen));
        let committed = self.writer.append(seen)?;
        ensure!(
            committed.changes == batch.changes,
            "{} of {} changes were recorded",
            committed.changes,
            batch.changes
        );
        self.last = committed.last.at;
        Ok(())
    }

    /// Packs a piece, when it is due: as the writer's thread does.
    fn between(&mut self) -> Result<()> {
        self.packing.step(&mut self.writer)?;
        Ok(())
    }

    fn close(mut self) -> Result<()> {
        self.writer.end_run(self.last)?;
        Self::close_writer(self.writer)
    }

    /// An export to nowhere. It decides what is in, and leaves out what the format leaves out: objects with an owner that is in.
    fn scan(folder: &Path, stream: &Stream) -> Result<Scanned> {
        let mut counter = Counter::default();
        let summary = export_all(folder, stream, &mut counter)?;
        Ok(Scanned {
            rows: summary.start_objects + summary.applied + summary.deleted,
            bytes: counter.0,
        })
    }

    /// The history of every object: all rows, those included that no trace holds.
    fn other_scan(
        folder: &Path,
        stream: &Stream,
    ) -> Result<Option<(&'static str, Scanned, Duration)>> {
        let names = names(stream)?;
        let mut scanned = Scanned::default();
        let started = Instant::now();
        histories(folder, &names, &mut |row| {
            scanned.rows += 1;
            scanned.bytes += std::hint::black_box(row.body).len() as u64;
            Ok(())
        })?;
        Ok(Some(("object by object", scanned, started.elapsed())))
    }

    /// Object by object: the only way to everything, whoever owns it.
    fn visit(
        folder: &Path,
        stream: &Stream,
        each: &mut dyn FnMut(Row<'_>) -> Result<()>,
    ) -> Result<()> {
        histories(folder, &names(stream)?, each)
    }

    /// Those that have a history.
    fn names(folder: &Path, stream: &Stream) -> Result<Option<u64>> {
        let snapshot = Reader::open(database(folder))?.snapshot()?;
        let mut found = 0;
        for name in names(stream)? {
            let first = snapshot.history(&name, TimeRange::ALL)?.next();
            found += u64::from(first.transpose()?.is_some());
        }
        Ok(Some(found))
    }
}

/// The names of all objects that ever existed, in their order.
fn names(stream: &Stream) -> Result<BTreeSet<ObjectKey>> {
    let mut names = BTreeSet::new();
    for batch in stream.batches()? {
        let keys = batch?
            .into_iter()
            .map(|c| ObjectKey::new(c.group, c.kind, c.namespace, c.name));
        names.extend(keys);
    }
    Ok(names)
}

/// Shows the changes of every object.
fn histories(
    folder: &Path,
    names: &BTreeSet<ObjectKey>,
    each: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    let snapshot = Reader::open(database(folder))?.snapshot()?;
    for name in names {
        for entry in snapshot.history(name, TimeRange::ALL)? {
            let entry = entry?;
            each(Row {
                at_us: entry.event.at.as_micros(),
                seq: entry.event.seq,
                deleted: entry.action == Action::Delete,
                body: entry.body.as_deref().unwrap_or_default(),
            })?;
        }
    }
    Ok(())
}

/// What a recorder's watches and look-ups say of a change.
pub fn observations(change: Change) -> Vec<(Timestamp, Observation)> {
    let at = Timestamp::from_micros(change.at_us);
    let mut seen: Vec<_> = change
        .learned
        .into_iter()
        .map(|learned| {
            let facts = OwnerFacts {
                gvk: Gvk::from_api_version(&learned.api_version, &learned.kind),
                namespace: learned.namespace,
                name: learned.name,
                owners: references(learned.owners),
            };
            let uid = Uid(learned.uid);
            (
                at,
                Observation::Owner {
                    uid,
                    facts: Some(facts),
                },
            )
        })
        .collect();
    let owners = references(change.owners);
    let uid = Uid(change.uid);
    let watch = Gvk::new(&*change.group, &*change.version, &*change.kind);
    let item = Item {
        pod: change.pod.map(|pod| ObservedPod {
            namespace: change.namespace.clone(),
            name: change.name.clone(),
            uid: uid.clone(),
            owners: owners.clone(),
            spec_hash: pod.spec_hash,
            times: PodTimes {
                start: pod.start_us.map(Timestamp::from_micros),
                containers_end: pod.end_us.map(Timestamp::from_micros),
                terminal: pod.terminal,
            },
        }),
        object: Some(ObservedObject {
            version: change.version,
            key: ObjectKey::new(change.group, change.kind, change.namespace, change.name),
            uid,
            owners,
            change_hash: change.hash,
            spec_hash: change.spec_hash,
            body: change.body,
        }),
        skipped: None,
    };
    let resource_version = Some((change.seq + 1).to_string());
    let observation = if change.deleted {
        Observation::Deleted {
            watch,
            item,
            resource_version,
        }
    } else {
        Observation::Applied {
            watch,
            item,
            resource_version,
        }
    };
    seen.push((at, observation));
    seen
}

fn references(owners: Vec<Owner>) -> Vec<OwnerRef> {
    owners
        .into_iter()
        .map(|owner| OwnerRef {
            api_version: owner.api_version,
            kind: owner.kind,
            name: owner.name,
            uid: Uid(owner.uid),
            controller: owner.controller,
        })
        .collect()
}

/// An output that counts.
#[derive(Default)]
pub struct Counter(pub u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += std::hint::black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
