//! Guards that the steps, the lists and the look-ups tell one story, and one that an API server could tell: a recorder
//! that is compared with a workload must not fail for what the workload got wrong.

use std::collections::BTreeSet;

use super::super::object::uuid_from_text;
use super::*;
use crate::config::TracerConfig;
use crate::model::{Gvk, Timestamp, Uid};
use crate::normalize::normalize;

fn uid(object: &Value) -> Uid {
    Uid(object["metadata"]["uid"].as_str().unwrap().to_owned())
}

/// Checks one step against what was known before it.
fn check(step: &Step, before: Option<&Value>, known: &mut BTreeSet<Uid>) {
    let metadata = &step.object["metadata"];
    let uid = uid(&step.object);
    assert_eq!(step.object["apiVersion"], step.kind.api_version());
    assert_eq!(step.object["kind"], step.kind.kind);
    assert_eq!(
        metadata["name"].as_str().unwrap().to_lowercase(),
        metadata["name"]
    );
    match step.verb {
        Verb::Add => {
            assert!(before.is_none(), "the name is taken: {:?}", step.object);
            assert!(known.insert(uid), "the UID is not new: {:?}", step.object);
            assert_eq!(
                metadata["creationTimestamp"],
                Timestamp::from_seconds(step.at.as_seconds()).to_string()
            );
        }
        Verb::Modify | Verb::Delete => {
            let before = &before.expect("nothing to change")["metadata"];
            for constant in ["uid", "creationTimestamp", "ownerReferences"] {
                assert_eq!(metadata[constant], before[constant]);
            }
        }
    }
}

#[test]
fn steps_lists_and_owner_lookups_agree() {
    for mix in MIXES {
        for warm_start in [false, true] {
            let mut workload = Workload::new(WorkloadOptions {
                warm_start,
                objects: 120,
                changes: 5_000,
                ..options(mix)
            });
            let mut model = Model::of(&workload);
            assert_eq!(model.0.is_empty(), !warm_start);
            let mut known: BTreeSet<Uid> = model.0.values().map(uid).collect();
            let mut version = workload.resource_version();
            let mut at = Timestamp::MIN;
            let mut count = 0;
            while let Some(step) = workload.next() {
                count += 1;
                assert!(step.at > at, "{} is not after {at}", step.at);
                at = step.at;
                let text = step.object["metadata"]["resourceVersion"].as_str();
                let new_version: u64 = text.unwrap().parse().unwrap();
                assert!(new_version > version);
                version = new_version;
                let before = model.apply(&step);
                check(&step, before.as_ref(), &mut known);
                if count % 100 == 0 {
                    assert!(Model::of(&workload).0 == model.0, "the list differs");
                }
            }
            assert_eq!(count, 5_000);
            assert_eq!(version, workload.resource_version());
            for kind in workload.kinds() {
                let all = workload.live().filter(|(of, _)| *of == kind);
                assert!(all.map(|(_, object)| object).eq(workload.live_of(&kind)));
            }
            assert!(model.0.iter().all(|((kind, namespace, name), object)| {
                let facts = workload.owner_facts(&uid(object)).unwrap();
                let owners = serde_json::to_value(&facts.owners).unwrap();
                (facts.gvk.to_string(), facts.namespace, facts.name)
                    == (kind.clone(), namespace.clone(), name.clone())
                    && owners.as_array().unwrap().len()
                        == object["metadata"]["ownerReferences"]
                            .as_array()
                            .map_or(0, Vec::len)
            }));
        }
    }
}

#[test]
fn owners_are_found_by_uid_and_what_is_gone_is_not() {
    let mut workload = Workload::new(options(Mix::Mixed));
    let mut chains = BTreeSet::new();
    let mut gone = None;
    while let Some(step) = workload.next() {
        if step.verb == Verb::Delete {
            gone = Some(uid(&step.object));
            continue;
        }
        let facts = workload.owner_facts(&uid(&step.object)).unwrap();
        let Some(owner) = facts.owners.first() else {
            continue;
        };
        let reference = &step.object["metadata"]["ownerReferences"][0];
        assert_eq!(reference["uid"], owner.uid.0);
        assert_eq!(reference["name"], owner.name);
        if let Some(found) = workload.owner_facts(&owner.uid) {
            assert_eq!((found.gvk, found.name), (owner.gvk(), owner.name.clone()));
            assert_eq!(found.namespace, facts.namespace);
            chains.insert(format!("{} of {}", facts.gvk.kind, owner.kind));
        }
    }
    let expected = [
        "Job of CronJob",
        "Pod of Job",
        "Pod of ReplicaSet",
        "Pod of StatefulSet",
        "ReplicaSet of Deployment",
    ];
    assert!(chains.iter().eq(expected.iter()), "{chains:?}");
    assert_eq!(workload.owner_facts(&gone.unwrap()), None);
    assert_eq!(workload.owner_facts(&Uid::from("no uuid")), None);
    assert_eq!(workload.live_of(&Gvk::new("", "v1", "Secret")).count(), 0);
}

#[test]
fn uids_are_version_4_uuids() {
    let workload = Workload::new(WorkloadOptions {
        warm_start: true,
        ..options(Mix::Mixed)
    });
    for (_, object) in workload.live() {
        let text = uid(&object).0;
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'4', "{text}");
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        assert!(uuid_from_text(&text).is_some());
        assert_eq!(uuid_from_text(&text.to_uppercase()), None);
    }
}

/// The times of a container's run in one status.
fn seconds(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_second()
}

#[test]
fn pod_statuses_are_plausible() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for mix in MIXES {
        for step in Workload::new(options(mix)).take(6_000) {
            if !step.kind.is_pod() {
                continue;
            }
            let (spec, status) = (&step.object["spec"], &step.object["status"]);
            let phase = status["phase"].as_str().unwrap();
            let created = seconds(&step.object["metadata"]["creationTimestamp"]);
            let containers = spec["containers"].as_array().unwrap().len();
            let statuses = status["containerStatuses"].as_array();
            assert_eq!(spec["nodeName"].is_string(), statuses.is_some());
            let statuses = statuses.cloned().unwrap_or_default();
            assert!(statuses.is_empty() || statuses.len() == containers);
            let mut ended = 0;
            let mut started = 0;
            for container in &statuses {
                let state = &container["state"];
                for run in [&state["terminated"], &container["lastState"]["terminated"]] {
                    if run.is_object() {
                        let (from, to) = (seconds(&run["startedAt"]), seconds(&run["finishedAt"]));
                        assert!(created <= from && from <= to && to <= step.at.as_seconds());
                    }
                }
                if state["running"].is_object() {
                    let from = seconds(&state["running"]["startedAt"]);
                    assert!(created <= from && from <= step.at.as_seconds());
                    started += 1;
                }
                ended += usize::from(state["terminated"].is_object());
                let restarts = container["restartCount"].as_u64().unwrap();
                assert_eq!(
                    restarts > 0,
                    container["lastState"]["terminated"].is_object()
                );
                if let Some(reason) = state["waiting"]["reason"].as_str() {
                    *seen.entry(reason.to_owned()).or_default() += 1;
                }
            }
            match phase {
                "Pending" => assert_eq!(started + ended, 0),
                "Running" => assert!(ended == 0 && (started > 0 || containers == 1)),
                "Succeeded" | "Failed" => assert_eq!(ended, containers),
                _ => panic!("{phase}"),
            }
            let conditions = status["conditions"].as_array().unwrap();
            let ready = conditions.iter().find(|one| one["type"] == "Ready");
            if ready.is_some_and(|ready| ready["status"] == "True") {
                assert!(phase == "Running" && started == containers);
            }
            let volumes = spec["volumes"].as_array().unwrap();
            let access = volumes.last().unwrap()["name"].as_str().unwrap();
            assert!(access.starts_with("kube-api-access-"));
            *seen.entry(phase.to_owned()).or_default() += 1;
        }
    }
    for state in [
        "Pending",
        "Running",
        "Succeeded",
        "Failed",
        "ContainerCreating",
        "CrashLoopBackOff",
    ] {
        assert!(seen.get(state).copied() > Some(20), "{state}: {seen:?}");
    }
}

#[test]
fn the_config_fits_every_step() {
    for mix in MIXES {
        let workload = Workload::new(options(mix));
        let (config, warnings) = TracerConfig::parse(workload.config()).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let kinds: BTreeSet<Gvk> = workload.kinds().collect();
        assert!(config.tracked.keys().all(|kind| kinds.contains(kind)));
        for step in workload.take(3_000) {
            let tracked = config.tracked.get(&step.kind);
            assert_eq!(tracked.is_none(), step.kind.kind == "ReplicaSet");
            if tracked.is_some() {
                let item = normalize(&step.kind, tracked, &redaction(), step.object).unwrap();
                assert!(item.object.is_some() || item.skipped.is_some());
                assert_eq!(item.pod.is_some(), step.kind.is_pod());
            }
        }
    }
}
