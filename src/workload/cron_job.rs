//! CronJobs.
//!
//! They fire when the workload begins something new, not by their schedule: thousands of them would otherwise fire in
//! the same second and leave no room for anything else.

use serde_json::Value;

use super::agenda::Task;
use super::app::{App, word};
use super::cluster::{Cluster, Shelf};
use super::deployment::common_labels;
use super::job::JobName;
use super::json::{Fields, fields, list, object, text, time};
use super::kind::Kind;
use super::object::{Kept, Meta, Object, uuid_text};
use super::step::Change;
use super::template::Template;
use crate::model::Timestamp;

const SCHEDULES: [&str; 5] = [
    "*/5 * * * *",
    "*/10 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "*/2 * * * *",
];

/// A CronJob.
#[derive(Clone, Copy, Debug)]
pub(super) struct CronJob {
    pub(super) meta: Meta,
    pub(super) template: Template,
    pub(super) suspended: bool,
    pub(super) schedule_edits: u32,
    /// The minute of its last Job, counted from the Unix epoch.
    pub(super) last_minute: i64,
    /// When it last fired, as its status says.
    last_fired: Option<Timestamp>,
    /// When one of its Jobs last finished, as its status says.
    last_finished: Option<Timestamp>,
    /// UID and minute of a Job that is still running, as its status says.
    active: Option<(u128, Option<i64>)>,
}

impl Object for CronJob {
    fn kind(&self) -> Kind {
        Kind::CronJob
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        self.template.app.name()
    }

    fn namespace(&self) -> String {
        self.template.app.namespace_name()
    }

    fn labels(&self) -> Fields {
        common_labels(self.template.app, "schedule")
    }

    fn annotations(&self) -> Fields {
        Fields::new()
    }

    fn content(&self) -> Fields {
        let app = self.template.app;
        let schedule = app.aspect(40).wrapping_add(u64::from(self.schedule_edits));
        let mut status = Fields::new();
        if let Some(fired) = self.last_fired {
            status.insert("lastScheduleTime".to_owned(), time(fired));
        }
        if let Some(finished) = self.last_finished {
            status.insert("lastSuccessfulTime".to_owned(), time(finished));
        }
        if let Some((active, minute)) = self.active {
            let name = JobName { app, minute };
            let reference = object([
                ("apiVersion", text(Kind::Job.api_version())),
                ("kind", text(Kind::Job.name())),
                ("namespace", text(self.namespace())),
                ("name", text(name.to_string())),
                ("uid", text(uuid_text(active))),
            ]);
            status.insert("active".to_owned(), list([reference]));
        }
        let job_spec = object([
            ("backoffLimit", Value::from(2)),
            ("template", self.template.render(Fields::new())),
        ]);
        fields([
            (
                "spec",
                object([
                    ("schedule", text(word(&SCHEDULES, schedule))),
                    ("concurrencyPolicy", text("Allow")),
                    ("suspend", Value::Bool(self.suspended)),
                    ("successfulJobsHistoryLimit", Value::from(3)),
                    ("failedJobsHistoryLimit", Value::from(1)),
                    ("jobTemplate", object([("spec", job_spec)])),
                ]),
            ),
            ("status", status.into()),
        ])
    }
}

impl Kept for CronJob {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.cron_jobs
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.cron_jobs
    }
}

impl Cluster {
    /// Creates a CronJob.
    pub(super) fn add_cron_job(&mut self, app: App, at: Timestamp) -> Option<Change> {
        let cron_job = CronJob {
            meta: self.new_meta(at),
            template: Template::task(app),
            suspended: false,
            schedule_edits: 0,
            last_minute: 0,
            last_fired: None,
            last_finished: None,
            active: None,
        };
        self.add(cron_job, at)
    }

    /// Creates a CronJob's next Job.
    pub(super) fn fire_cron_job(&mut self, mut cron_job: CronJob, at: Timestamp) -> Option<Change> {
        if cron_job.suspended || cron_job.active.is_some() {
            return None;
        }
        // Also when it fires twice in a minute, the Job has a name of its own.
        cron_job.last_minute = at
            .as_seconds()
            .div_euclid(60)
            .max(cron_job.last_minute.saturating_add(1));
        self.cron_jobs.insert(cron_job.meta.uid, cron_job);
        self.soon(Task::ReconcileCronJob(cron_job.meta.uid), at);
        let name = JobName {
            app: cron_job.template.app,
            minute: Some(cron_job.last_minute),
        };
        self.add_job(name, cron_job.template, Some(cron_job.meta.uid), at)
    }

    /// Brings a CronJob's status up to date.
    pub(super) fn reconcile_cron_job(&mut self, uid: u128, at: Timestamp) -> Option<Change> {
        let known = self.cron_jobs.get(uid)?;
        let mut cron_job = known;
        let jobs: Vec<_> = self
            .children(uid)
            .filter_map(|job| self.jobs.get(job))
            .collect();
        let running = jobs.iter().find(|job| job.finished.is_none());
        cron_job.active = running.map(|job| (job.meta.uid, job.name.minute));
        let fired = jobs.iter().map(|job| job.meta.created).max();
        cron_job.last_fired = cron_job.last_fired.max(fired);
        let finished = jobs.iter().filter_map(|job| job.finished).max();
        cron_job.last_finished = cron_job.last_finished.max(finished);
        let status =
            |cron_job: &CronJob| (cron_job.active, cron_job.last_fired, cron_job.last_finished);
        if status(&cron_job) == status(&known) {
            return None;
        }
        self.update(cron_job, at)
    }
}
