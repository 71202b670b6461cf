//! Jobs, by hand and by CronJobs.

use std::fmt;

use serde_json::Value;

use super::agenda::Task;
use super::app::App;
use super::cluster::{Cluster, Shelf};
use super::deployment::{common_labels, condition};
use super::json::{Fields, fields, list, object, text, time};
use super::kind::Kind;
use super::object::{Kept, Meta, Object, Owner, uuid_text};
use super::pod::{Pod, PodOwner};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;
use crate::model::timestamp::MICROS_PER_SECOND;

/// Failed pods after which a Job gives up.
const BACKOFF_LIMIT: u32 = 2;
/// How long a finished Job stays, seconds.
const TTL_SECONDS: i64 = 90;

/// A Job's name: its application's, or its CronJob's and the minute for which it was created.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobName {
    pub(super) app: App,
    /// Minutes since the Unix epoch.
    pub(super) minute: Option<i64>,
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.app.name())?;
        match self.minute {
            Some(minute) => write!(f, "-{minute}"),
            None => Ok(()),
        }
    }
}

/// What a Job's status says of its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    active: u32,
    succeeded: u32,
    failed: u32,
}

/// A Job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) meta: Meta,
    pub(super) name: JobName,
    pub(super) template: Template,
    /// UID of the CronJob that created it.
    pub(super) cron_job: Option<u128>,
    pub(super) completions: u32,
    counts: Counts,
    pub(super) finished: Option<Timestamp>,
}

impl Job {
    fn pod_labels(&self) -> Fields {
        let uid = uuid_text(self.meta.uid);
        fields([
            ("batch.kubernetes.io/controller-uid", text(uid)),
            ("batch.kubernetes.io/job-name", text(self.name.to_string())),
        ])
    }

    fn has_failed(&self) -> bool {
        self.counts.failed > BACKOFF_LIMIT
    }
}

impl Object for Job {
    fn kind(&self) -> Kind {
        Kind::Job
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn namespace(&self) -> String {
        self.template.app.namespace_name()
    }

    fn owner_uid(&self) -> Option<u128> {
        self.cron_job
    }

    fn owner(&self) -> Option<Owner> {
        Some(Owner {
            kind: Kind::CronJob,
            uid: self.cron_job?,
            name: self.name.app.name(),
        })
    }

    fn labels(&self) -> Fields {
        common_labels(self.template.app, "task")
    }

    fn annotations(&self) -> Fields {
        Fields::new()
    }

    fn content(&self) -> Fields {
        let counts = self.counts;
        let mut status = fields([
            ("active", Value::from(counts.active)),
            ("succeeded", Value::from(counts.succeeded)),
            ("failed", Value::from(counts.failed)),
            ("startTime", time(self.meta.created)),
        ]);
        if let Some(finished) = self.finished {
            let (kind, reason) = if self.has_failed() {
                ("Failed", "BackoffLimitExceeded")
            } else {
                status.insert("completionTime".to_owned(), time(finished));
                ("Complete", "CompletionsReached")
            };
            let met = condition(kind, true, reason, finished);
            status.insert("conditions".to_owned(), list([met]));
        }
        fields([
            (
                "spec",
                object([
                    ("parallelism", Value::from(self.completions)),
                    ("completions", Value::from(self.completions)),
                    ("completionMode", text("NonIndexed")),
                    ("backoffLimit", Value::from(BACKOFF_LIMIT)),
                    ("ttlSecondsAfterFinished", Value::from(TTL_SECONDS)),
                    ("suspend", Value::Bool(false)),
                    (
                        "selector",
                        object([("matchLabels", Value::Object(self.pod_labels()))]),
                    ),
                    ("template", self.template.render(self.pod_labels())),
                ]),
            ),
            ("status", status.into()),
        ])
    }
}

impl Kept for Job {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.jobs
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.jobs
    }
}

impl Cluster {
    /// Creates a Job; its controller does the rest.
    pub(super) fn add_job(
        &mut self,
        name: JobName,
        template: Template,
        cron_job: Option<u128>,
        at: Timestamp,
    ) -> Option<Change> {
        let job = Job {
            meta: self.new_meta(at),
            name,
            template,
            cron_job,
            completions: self.rng.between(1, 3) as u32,
            counts: Counts::default(),
            finished: None,
        };
        self.soon(Task::ReconcileJob(job.meta.uid), at);
        self.add(job, at)
    }

    /// The Job controller's next step for a Job, if there is anything to do.
    pub(super) fn reconcile_job(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let job = self.jobs.get(uid).filter(|job| job.finished.is_none())?;
        let change = self.job_step(job, at);
        if change.is_some() {
            self.soon(Task::ReconcileJob(uid), at);
        }
        change
    }

    fn job_step(&mut self, job: Job, at: Timestamp) -> Option<Change> {
        let pods = self.pods_of(job.meta.uid);
        let count = |matches: fn(&Pod) -> bool| pods.iter().filter(|pod| matches(pod)).count();
        let counts = Counts {
            active: count(Pod::is_active) as u32,
            succeeded: count(|pod| pod.outcome() == Some(true)) as u32,
            failed: count(|pod| pod.outcome() == Some(false)) as u32,
        };
        let job = Job { counts, ..job };
        if counts.succeeded >= job.completions || (job.has_failed() && counts.active == 0) {
            let expires = at.plus_micros(TTL_SECONDS * MICROS_PER_SECOND);
            self.agenda.plan(expires, Task::ExpireJob(job.meta.uid));
            if let Some(cron_job) = job.cron_job {
                self.soon(Task::ReconcileCronJob(cron_job), at);
            }
            let finished = Some(at);
            return self.update(Job { finished, ..job }, at);
        }
        if !job.has_failed() && counts.active + counts.succeeded < job.completions {
            let owner = PodOwner::Job(job.meta.uid, job.name);
            return self.add_pod(owner, job.template, at);
        }
        let known = self.jobs.get(job.meta.uid)?.counts;
        if known == counts {
            return None;
        }
        self.update(job, at)
    }

    /// Deletes a finished Job whose time is over.
    pub(super) fn expire_job(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let job = self.jobs.get(uid)?;
        self.delete_owner(job, at)
    }
}
