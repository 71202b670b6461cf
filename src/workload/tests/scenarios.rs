//! Guards that what tells a good recorder from a bad one really happens in a workload of the demo's size. A test that
//! feeds a store from a workload would otherwise pass without having met the case it names.

use std::collections::BTreeSet;

use super::*;
use crate::model::Timestamp;

/// Counts scenarios as an outside observer would recognize them.
#[derive(Default)]
struct Observer {
    model: Model,
    /// When a name was deleted last.
    deleted: BTreeMap<Name, Timestamp>,
    /// UIDs of Deployments that have had a ReplicaSet.
    rolled: BTreeSet<String>,
    seen: BTreeMap<String, u32>,
}

impl Observer {
    fn saw(&mut self, scenario: impl Into<String>) {
        *self.seen.entry(scenario.into()).or_default() += 1;
    }

    fn observe(&mut self, step: &Step) {
        self.saw(format!("{:?} {}", step.verb, step.kind.kind));
        let before = self.model.apply(step);
        match (step.verb, before) {
            (Verb::Add, _) => self.observe_add(step),
            (Verb::Modify, Some(before)) => self.observe_change(step, &before),
            (Verb::Delete, Some(before)) => {
                let name = name(&step.kind.to_string(), &step.object);
                self.deleted.insert(name, step.at);
                let running = before["status"]["phase"] == "Running";
                if running && before["metadata"]["deletionTimestamp"].is_null() {
                    self.saw("running pod deleted without a last status");
                }
            }
            (_, None) => panic!("nothing to change"),
        }
    }

    fn observe_add(&mut self, step: &Step) {
        let kind = step.kind.kind.as_str();
        let metadata = &step.object["metadata"];
        let owner = metadata["ownerReferences"][0].clone();
        let name = name(&step.kind.to_string(), &step.object);
        if let Some(deleted) = self.deleted.get(&name).copied() {
            let again = match step.at.as_micros() - deleted.as_micros() {
                ..1_000_000 => "at once",
                _ => "later",
            };
            let of = owner["kind"].as_str().unwrap_or("nobody").to_owned();
            self.saw(format!("{kind} of {of} again {again}"));
        }
        match (kind, owner["kind"].as_str()) {
            ("ReplicaSet", _) => {
                let deployment = owner["uid"].as_str().unwrap().to_owned();
                if !self.rolled.insert(deployment) {
                    self.saw("rollout");
                }
            }
            ("Job", None) => self.saw("job by hand"),
            ("Job", Some("CronJob")) => self.saw("job of a cron job"),
            ("Pod", None) => self.saw("bare pod"),
            _ => {}
        }
    }

    fn observe_change(&mut self, step: &Step, before: &Value) {
        let kind = step.kind.kind.as_str();
        let now = &step.object;
        let same = |path: &str| now.pointer(path) == before.pointer(path);
        let edited = |field: &str| !same(&format!("/metadata/{field}"));
        if same("/spec") && same("/data") {
            if edited("labels") {
                self.saw(format!("labels of a {kind}"));
            } else if edited("annotations") && same("/status") {
                self.saw(format!("annotations of a {kind}"));
            } else if !same("/status") {
                self.saw(format!("only the status of a {kind}"));
            }
        }
        if !same("/data") {
            self.saw("edit of a ConfigMap");
        }
        if kind == "Deployment" && !same("/spec/replicas") {
            self.saw("scaling");
        }
        if kind == "CronJob" && !same("/spec") {
            self.saw("edit of a CronJob");
        }
        let conditions = "/status/conditions/0/type";
        if kind == "Job" && !same(conditions) {
            let how = now.pointer(conditions).and_then(Value::as_str);
            self.saw(format!("job {}", how.unwrap()));
        }
        let restarts = "/status/containerStatuses/0/restartCount";
        if kind == "Pod" && !same(restarts) {
            let count = now.pointer(restarts).and_then(Value::as_u64).unwrap_or(0);
            if count > 0 {
                self.saw(format!("crash {}", count.min(3)));
            }
        }
        if kind == "Namespace" && now["status"]["phase"] == "Terminating" {
            self.saw("namespace terminating");
        }
    }
}

fn observe(mix: Mix) -> BTreeMap<String, u32> {
    let mut observer = Observer::default();
    for step in Workload::new(options(mix)) {
        observer.observe(&step);
    }
    observer.seen
}

#[test]
fn every_scenario_happens_in_the_mixed_workload() {
    let seen = observe(Mix::Mixed);
    let kinds = [
        "Namespace",
        "ConfigMap",
        "CronJob",
        "Deployment",
        "Job",
        "StatefulSet",
        "ReplicaSet",
        "Pod",
    ];
    for kind in kinds {
        for verb in [Verb::Add, Verb::Modify, Verb::Delete] {
            let what = format!("{verb:?} {kind}");
            assert!(seen.contains_key(&what), "{what}: {seen:#?}");
        }
    }
    for scenario in [
        "rollout",
        "scaling",
        "edit of a ConfigMap",
        "edit of a CronJob",
        "labels of a ConfigMap",
        "labels of a Deployment",
        "labels of a Namespace",
        "labels of a StatefulSet",
        "annotations of a Deployment",
        "only the status of a Deployment",
        "only the status of a Pod",
        "only the status of a CronJob",
        "only the status of a StatefulSet",
        "job by hand",
        "job of a cron job",
        "job Complete",
        "bare pod",
        "crash 1",
        "crash 2",
        "crash 3",
        "running pod deleted without a last status",
        "namespace terminating",
        "Namespace of nobody again at once",
        "Namespace of nobody again later",
        "ConfigMap of nobody again at once",
        "ConfigMap of nobody again later",
        "Deployment of nobody again at once",
        "Deployment of nobody again later",
        "Pod of nobody again at once",
        "Pod of StatefulSet again at once",
        "StatefulSet of nobody again at once",
    ] {
        assert!(seen.contains_key(scenario), "{scenario}: {seen:#?}");
    }
}

#[test]
fn pods_come_and_go_in_the_pod_churn_workload() {
    let seen = observe(Mix::PodChurn);
    for scenario in ["job Failed", "job Complete", "rollout", "scaling"] {
        assert!(seen.contains_key(scenario), "{scenario}: {seen:#?}");
    }
    let pods = ["Add Pod", "Modify Pod", "Delete Pod"].map(|verb| seen[verb]);
    assert!(pods.iter().sum::<u32>() > 6_500, "{seen:#?}");
    assert!(pods[0] > 1_000 && pods[2] > 1_000, "{seen:#?}");
}

#[test]
fn the_update_heavy_workload_is_mostly_recorded_changes() {
    let mut workload = Workload::new(WorkloadOptions {
        warm_start: true,
        ..options(Mix::UpdateHeavy)
    });
    let mut model = Model::of(&workload);
    let mut updates = 0;
    for step in workload.by_ref() {
        let before = model.apply(&step);
        let tracked = !matches!(step.kind.kind.as_str(), "ReplicaSet" | "Pod");
        let changed = before.is_some_and(|before| {
            step.object["spec"] != before["spec"] || step.object["data"] != before["data"]
        });
        updates += u32::from(tracked && changed && step.verb == Verb::Modify);
    }
    assert!(updates > 8_000, "{updates} of 10,000");
}
