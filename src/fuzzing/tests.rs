//! Guards against files and requests that take the process down: the fuzz targets, over the committed seeds and a fixed set
//! of mutations of them. What a longer run finds is committed as another seed.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::export::encode::sktrace::reference::Trace;
use crate::store::fuzzing::{
    meta_rows, packed_rows, packed_tables, read_packed, recoders, rows_of,
};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("row", row),
    ("sktrace", sktrace),
    ("config", config),
    ("export_request", export_request),
];

/// Inputs made of each target's seeds.
const MUTATIONS: u64 = 10_000;
/// Longest seed, bytes: small ones are mutated to more purpose.
const SEED_BYTES_MAX: usize = 4 << 10;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

/// The seeds of a target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(corpus(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// Bytes at which decoders decide: limits of lengths, tags of MessagePack and bincode, syntax of JSON and YAML.
const TELLING: &[u8] = b"\x00\x01\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xca\xcb\xcf\xd3\xdb\xdd\xdf\xfa\xfb\xfc\xfd\xfe\xff{}[]\",:*&~\n-";

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[random.below(TELLING.len())],
            2 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            3 => {
                let end = (at + random.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + random.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn run(name: &str) {
    let (_, target) = TARGETS[TARGETS
        .iter()
        .position(|(other, _)| *other == name)
        .unwrap()];
    let seeds = seeds(name);
    assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
    for seed in &seeds {
        target(seed);
    }
    let mut random = Random(1);
    for _ in 0..MUTATIONS {
        target(&mutated(&seeds, &mut random));
    }
}

#[test]
fn no_row_takes_the_process_down() {
    run("row");
}

#[test]
fn no_trace_file_takes_the_process_down() {
    run("sktrace");
}

#[test]
fn no_config_takes_the_process_down() {
    run("config");
}

#[test]
fn no_export_request_takes_the_process_down() {
    run("export_request");
}

#[test]
fn every_row_type_has_a_seed_that_is_read() {
    let seeds = seeds("row");
    let any = |table: &str, reads: &dyn Fn(&[u8], &[u8]) -> bool| {
        let prefix = [table.as_bytes(), &[0]].concat();
        let read = seeds.iter().any(|seed| {
            seed.strip_prefix(prefix.as_slice()).is_some_and(|rest| {
                let (key, payload) = rest[1..].split_at(usize::from(rest[0]));
                reads(key, payload)
            })
        });
        assert!(read, "no seed for {table}: run make_seeds");
    };
    for (table, recode) in recoders() {
        any(table, &|key, payload| {
            recode(key, &crate::store::seal(table, key, payload)).is_ok()
        });
    }
    for table in packed_tables() {
        any(table, &|key, payload| {
            read_packed(table, key, payload, &mut |_| {}).is_ok()
        });
    }
}

#[test]
fn every_packed_form_is_read() {
    for (table, key, payload) in packed_rows() {
        read_packed(table, &key, &payload, &mut |_| {}).unwrap();
    }
}

#[test]
fn seeds_of_the_other_targets_are_accepted() {
    let accepted = |name: &str, accepts: &dyn Fn(&[u8]) -> bool| {
        let count = seeds(name).iter().filter(|seed| accepts(seed)).count();
        assert!(count >= 3, "{name}: {count} seeds are accepted");
    };
    accepted("sktrace", &|seed| sktrace::check(seed).is_ok());
    accepted("config", &|seed| {
        std::str::from_utf8(seed).is_ok_and(|text| TracerConfig::parse(text).is_ok())
    });
    accepted("export_request", &|seed| {
        crate::serve::export_request_refusal(seed).is_none()
    });
}

/// Writes the seeds anew: after a change of the format. `cargo test --lib make_seeds -- --ignored`
#[test]
#[ignore = "writes into the source tree"]
fn make_seeds() {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        assert!(
            bytes.len() <= SEED_BYTES_MAX,
            "{target} {name}: {}",
            bytes.len()
        );
        fs::create_dir_all(corpus(target)).unwrap();
        fs::write(corpus(target).join(name), bytes).unwrap();
    };
    for (target, _) in TARGETS {
        // What a longer run has found stays; seeds of an older format go.
        let old = fs::read_dir(corpus(target)).into_iter().flatten();
        for path in old.map(|entry| entry.unwrap().path()) {
            if !path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("found-")
            {
                fs::remove_file(path).unwrap();
            }
        }
    }
    let rows = rows_of(&recorded());
    // The other cells of `meta` are no rows, and random.
    let rows = rows
        .into_iter()
        .filter(|(table, key, _)| *table != "meta" || key == b"writer");
    for (n, (table, key, payload)) in rows.chain(meta_rows()).chain(packed_rows()).enumerate() {
        if payload.len() + key.len() + table.len() + 2 <= SEED_BYTES_MAX {
            let length = u8::try_from(key.len()).unwrap();
            let seed = [table.as_bytes(), &[0, length], &key, &payload].concat();
            put("row", &format!("{table}-{n:03}"), &seed);
        }
    }
    let mut trace = Trace::empty();
    put("sktrace", "empty", &trace.to_bytes());
    trace.config =
        serde_json::json!({"trackedObjects": {"v1.Pod": {"podSpecTemplatePaths": [""]}}});
    put("sktrace", "config", &trace.to_bytes());
    put("sktrace", "small", &Trace::small().to_bytes());
    put("sktrace", "exported", &exported(&recorded()));
    for (name, text) in [
        ("empty", "trackedObjects: {}"),
        (
            "workload",
            crate::workload::Workload::new(Default::default()).config(),
        ),
        (
            "json",
            r#"{"trackedObjects":{"batch/v1.Job":{"podSpecTemplatePaths":["/spec/template"]},"v1.Secret":{"storeSecretData":true}}}"#,
        ),
        (
            "all",
            "trackedObjects:\n  x.io/v1.Flow:\n    podSpecTemplatePaths: [/spec/a~0b, '/spec/steps/*/template']\n    trackLifecycle: true\n    skipOwned: true\n    changes: object\n  v1.ConfigMap: ~\n",
        ),
        (
            "old",
            "trackedObjects: {/v1.Pod: , x/v1.Y: {podSpecTemplatePath: /a}}",
        ),
        (
            "aliases",
            "trackedObjects:\n  a/v1.B: &x {podSpecTemplatePaths: [/s], changes: spec}\n  a/v1.C: *x\n  a/v1.D:\n    <<: *x\n",
        ),
    ] {
        put("config", name, text.as_bytes());
    }
    for (name, text) in [
        (
            "skctl",
            r#"{"start_ts":1,"end_ts":2,"export_path":"output.sktrace","filters":{"excluded_namespaces":["kube-system"],"excluded_labels":[{"matchLabels":{"a":"b"}}]}}"#,
        ),
        (
            "all",
            r#"{"start_ts":-5,"end_ts":9,"export_path":"a/b.sktrace","transform":"","filters":{"excluded_namespaces":[],"included_namespaces":["a"],"excluded_kinds":["deploy"],"included_kinds":["apps/v1.Deployment","v1.Pod"],"included_labels":[{"matchExpressions":[{"key":"a","operator":"NotIn","values":["b","c"]},{"key":"d","operator":"Exists"}]}],"include_cluster_scoped":true}}"#,
        ),
        (
            "storage",
            r#"{"start_ts":0,"end_ts":1,"export_path":"s3://bucket/a/b.sktrace","filters":{}}"#,
        ),
        (
            "transform",
            r#"{"start_ts":0,"end_ts":1,"export_path":"x","filters":{},"transform":"remove(a)"}"#,
        ),
        (
            "backwards",
            r#"{"start_ts":9,"end_ts":1,"export_path":"az://c/x","filters":{}}"#,
        ),
    ] {
        put("export_request", name, text.as_bytes());
    }
}

/// A small store with a row in every table.
fn recorded() -> crate::Store {
    use crate::ingest::Writer;
    use crate::model::{Observation, Timestamp, Uid};
    use crate::normalize::normalize;

    let folder = tempfile::tempdir().unwrap();
    let store = crate::Store::open(folder.path().join("trace.redb")).unwrap();
    let mut writer = Writer::new(store).unwrap();
    let text = "trackedObjects: {v1.ConfigMap: {}, v1.Pod: {}, apps/v1.Deployment: {trackLifecycle: true}}";
    let (config, _) = TracerConfig::parse(text).unwrap();
    let at = Timestamp::from_seconds;
    writer
        .begin_run(at(100), &config, "record", Some("cluster"))
        .unwrap();
    let redaction = Redaction::new(writer.redaction_key().unwrap(), &config);
    let item = |watch: &Gvk, name: &str, rest: Value| {
        let mut object = serde_json::json!({"metadata": {"name": name, "namespace": "ns", "uid": format!("0f6ad3c2-5d0e-4c57-8a5b-{name:0>12}")}});
        object
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        if watch.is_pod() {
            object["metadata"]["ownerReferences"] = serde_json::json!([
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "0f6ad3c2-5d0e-4c57-8a5b-0000000000ff", "controller": true}
            ]);
        }
        normalize(watch, config.tracked.get(watch), &redaction, object).unwrap()
    };
    let (map, deployment, pod): (Gvk, Gvk, Gvk) = (
        "v1.ConfigMap".parse().unwrap(),
        "apps/v1.Deployment".parse().unwrap(),
        Gvk::pod(),
    );
    let mut seen = Vec::new();
    for watch in [&map, &deployment, &pod] {
        seen.push(Observation::ListStarted {
            watch: watch.clone(),
        });
        seen.push(Observation::ListFinished {
            watch: watch.clone(),
            resource_version: "7".to_owned(),
        });
    }
    let apply = |watch: &Gvk, name: &str, rest: Value| Observation::Applied {
        watch: watch.clone(),
        item: item(watch, name, rest),
        resource_version: Some("8".to_owned()),
    };
    for n in 0..12 {
        seen.push(apply(
            &map,
            "a",
            serde_json::json!({"data": {"n": n.to_string(), "text": "the same in every version"}}),
        ));
    }
    seen.push(apply(
        &deployment,
        "b",
        serde_json::json!({"spec": {"replicas": 2, "template": {"spec": {"containers": []}}}}),
    ));
    let status = serde_json::json!({"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": "1970-01-01T00:01:40Z"}}}]});
    for name in ["c", "d", "e"] {
        seen.push(apply(
            &pod,
            name,
            serde_json::json!({"spec": {"containers": [{"name": "c"}]}, "status": status}),
        ));
    }
    seen.push(Observation::Deleted {
        watch: map.clone(),
        item: item(&map, "a", serde_json::json!({})),
        resource_version: Some("9".to_owned()),
    });
    seen.push(Observation::Blind {
        watch: map,
        reason: "out of contact".to_owned(),
    });
    seen.push(Observation::Owner {
        uid: Uid::from("0f6ad3c2-5d0e-4c57-8a5b-0000000000fe"),
        facts: None,
    });
    writer
        .append(
            seen.into_iter()
                .enumerate()
                .map(|(n, seen)| (at(101 + n as i64), seen)),
        )
        .unwrap();
    writer.into_store()
}

fn exported(store: &crate::Store) -> Vec<u8> {
    use crate::export::{ExportFilters, ExportRequest, export};
    use crate::model::{TimeRange, Timestamp};
    let window =
        TimeRange::new(Timestamp::from_seconds(105), Timestamp::from_seconds(200)).unwrap();
    let request = ExportRequest {
        window,
        filters: ExportFilters::default(),
    };
    let mut bytes = Vec::new();
    export(&store.reader(), &request, &mut bytes).unwrap();
    bytes
}
