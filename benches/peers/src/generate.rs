//! From the seeded workload to the changes that are recorded of it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use sk_tracedb::config::TracerConfig;
use sk_tracedb::model::{Item, ObjectKey, OwnerRef, RedactionKey};
use sk_tracedb::normalize::{Redaction, normalize};
use sk_tracedb::workload::{Mix, Step, Verb, Workload, WorkloadOptions};

use crate::change::{Change, Learned, Owner, Pod};
use crate::digest::Digest;
use crate::interrupt;
use crate::stream::{Stream, StreamWriter};

/// Steps of the workload for each change that is recorded, at most: status updates and ReplicaSets are steps, too.
const STEPS_PER_CHANGE_MAX: u64 = 50;
/// Steps a second of the simulated cluster.
const STEPS_PER_SECOND: u64 = 100;

/// What is asked of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Recorded changes.
    pub changes: u64,
    /// Objects that exist at a time, about.
    pub objects: usize,
    /// What mostly happens.
    pub mix: Mix,
    /// Changes in a batch.
    pub batch: usize,
}

/// Writes the changes of a workload to a file.
pub fn generate(wanted: Wanted, path: &Path) -> Result<Stream> {
    ensure!(
        wanted.batch > 0 && wanted.changes > 0,
        "nothing is asked for"
    );
    let mut source = Source::new(wanted)?;
    let mut out = StreamWriter::create(path)?;
    let mut digest = Digest::default();
    let (mut first_us, mut last_us) = (None, 0);
    let mut batch = Vec::with_capacity(wanted.batch);
    for seq in 1..=wanted.changes {
        let change = source.next_change(seq)?;
        digest.add(&change.row());
        first_us.get_or_insert(change.at_us);
        last_us = change.at_us;
        batch.push(change);
        if batch.len() == wanted.batch || seq == wanted.changes {
            interrupt::check()?;
            out.write(&batch)?;
            batch.clear();
        }
    }
    out.finish()?;
    Ok(Stream {
        path: path.to_owned(),
        workload: wanted.mix.to_string(),
        objects: wanted.objects as u64,
        changes: wanted.changes,
        batch: wanted.batch,
        names: source.objects.len() as u64,
        first_us: first_us.unwrap_or_default(),
        last_us,
        digest,
    })
}

/// The workload, and what has been recorded of it: what tells a change from a step that is none.
struct Source {
    workload: Workload,
    config: TracerConfig,
    redaction: Redaction,
    objects: HashMap<ObjectKey, Known>,
    incarnations: u64,
    /// Owners that were looked up.
    learned: HashSet<String>,
}

/// What is known of a name.
struct Known {
    object: u64,
    uid: String,
    /// `None` once it is deleted.
    hash: Option<[u8; 32]>,
}

impl Source {
    fn new(wanted: Wanted) -> Result<Self> {
        let steps = wanted.changes.saturating_mul(STEPS_PER_CHANGE_MAX);
        let workload = Workload::new(WorkloadOptions {
            objects: wanted.objects,
            changes: steps,
            duration: Duration::from_secs(steps / STEPS_PER_SECOND),
            mix: wanted.mix,
            ..WorkloadOptions::default()
        });
        let (config, _) = TracerConfig::parse(workload.config())?;
        // The workload has nothing that is digested, so the key means nothing.
        let redaction = Redaction::new(RedactionKey::from_bytes([7; 32]), &config);
        Ok(Self {
            workload,
            config,
            redaction,
            objects: HashMap::new(),
            incarnations: 0,
            learned: HashSet::new(),
        })
    }

    fn next_change(&mut self, seq: u64) -> Result<Change> {
        while let Some(step) = self.workload.next() {
            if let Some(change) = self.change(step, seq)? {
                return Ok(change);
            }
        }
        anyhow::bail!("the workload has ended before {seq} changes")
    }

    /// The change that a step is, if it is one: the rules of `sk_tracedb::ingest`, on a watch that misses nothing.
    fn change(&mut self, step: Step, seq: u64) -> Result<Option<Change>> {
        let Some(tracked) = self.config.tracked.get(&step.kind) else {
            return Ok(None);
        };
        let item = normalize(&step.kind, Some(tracked), &self.redaction, step.object)?;
        let Item {
            object: Some(object),
            pod,
            ..
        } = item
        else {
            return Ok(None);
        };
        let deleted = step.verb == Verb::Delete;
        let known = self.objects.get(&object.key);
        let number = match known {
            Some(known) if known.uid == object.uid.0 => {
                if known.hash == (!deleted).then_some(object.change_hash) {
                    return Ok(None);
                }
                known.object
            }
            _ => {
                ensure!(
                    step.verb == Verb::Add,
                    "the workload changes what is not there"
                );
                self.incarnations += 1;
                self.incarnations
            }
        };
        self.objects.insert(
            object.key.clone(),
            Known {
                object: number,
                uid: object.uid.0.clone(),
                hash: (!deleted).then_some(object.change_hash),
            },
        );
        let learned = self.look_up(&object.owners);
        Ok(Some(Change {
            at_us: step.at.as_micros(),
            seq,
            object: number,
            deleted,
            group: object.key.group,
            version: object.version,
            kind: object.key.kind,
            namespace: object.key.namespace,
            name: object.key.name,
            uid: object.uid.0,
            owners: object.owners.iter().map(owner).collect(),
            hash: object.change_hash,
            spec_hash: object.spec_hash,
            body: if deleted { Vec::new() } else { object.body },
            pod: pod.map(|pod| Pod {
                spec_hash: pod.spec_hash,
                start_us: pod.times.start.map(|at| at.as_micros()),
                end_us: pod.times.containers_end.map(|at| at.as_micros()),
                terminal: pod.times.terminal,
            }),
            learned,
        }))
    }

    /// What look-ups find of owners that are not recorded as objects (ReplicaSets, Jobs of CronJobs), each once.
    fn look_up(&mut self, owners: &[OwnerRef]) -> Vec<Learned> {
        let mut learned = Vec::new();
        for reference in owners {
            if self.learned.contains(&reference.uid.0) {
                continue;
            }
            let tracked = self.config.tracked.get(&reference.gvk());
            if tracked.is_some_and(|tracked| !tracked.skip_owned) {
                continue;
            }
            let Some(facts) = self.workload.owner_facts(&reference.uid) else {
                continue;
            };
            self.learned.insert(reference.uid.0.clone());
            learned.push(Learned {
                uid: reference.uid.0.clone(),
                api_version: facts.gvk.api_version(),
                kind: facts.gvk.kind,
                namespace: facts.namespace,
                name: facts.name,
                owners: facts.owners.iter().map(owner).collect(),
            });
        }
        learned
    }
}

fn owner(reference: &OwnerRef) -> Owner {
    Owner {
        api_version: reference.api_version.clone(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        uid: reference.uid.0.clone(),
        controller: reference.controller,
    }
}
