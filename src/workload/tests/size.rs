//! Guards the numbers that a report states of a workload: bytes of a body, live objects, time covered, and that the
//! generator does not grow with its steps (else it, not the recorder, would be what a memory figure shows).

use super::*;
use crate::config::TrackedKind;
use crate::normalize::normalize;

#[test]
fn bodies_are_two_to_three_kilobytes_in_the_update_heavy_workload() {
    let (mut sent, mut stored, mut bodies) = (0, 0, 0);
    for step in Workload::new(options(Mix::UpdateHeavy)) {
        sent += step.object.to_string().len();
        let tracked = TrackedKind::default();
        let item = normalize(&step.kind, Some(&tracked), &redaction(), step.object).unwrap();
        stored += item.object.unwrap().body.len();
        bodies += 1;
    }
    for (what, bytes) in [("JSON as sent", sent), ("MessagePack as stored", stored)] {
        let mean = bytes / bodies;
        assert!((2_000..=3_000).contains(&mean), "{what}: {mean} bytes");
    }
}

#[test]
fn pods_deployments_and_config_maps_have_realistic_sizes() {
    let workload = Workload::new(WorkloadOptions {
        warm_start: true,
        ..options(Mix::Mixed)
    });
    for kind in ["apps/v1.Deployment", "v1.Pod", "v1.ConfigMap"] {
        let sizes: Vec<usize> = workload
            .live_of(&kind.parse().unwrap())
            .map(|object| object.to_string().len())
            .collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((2_000..=4_000).contains(&mean), "{kind}: {mean} bytes");
    }
}

#[test]
fn the_number_of_live_objects_stays_near_what_was_asked_for() {
    for mix in MIXES {
        for objects in [60, 300, 2_000] {
            let mut workload = Workload::new(WorkloadOptions {
                objects,
                changes: 20_000,
                warm_start: true,
                ..options(mix)
            });
            let near = objects * 8 / 10..=objects * 12 / 10;
            while workload.skip_steps(100) > 0 {
                let live = workload.tracked_live();
                assert!(near.contains(&live), "{mix}: {live} of {objects}");
            }
        }
    }
}

#[test]
fn live_objects_are_counted_as_the_config_tracks_them() {
    let mut workload = Workload::new(options(Mix::PodChurn));
    for _ in 0..20 {
        workload.skip_steps(500);
        let tracked = workload.live().filter(|(kind, object)| {
            let owned = object["metadata"]["ownerReferences"].is_array();
            let kind = kind.to_string();
            let skipped = owned && kind == "batch/v1.Job";
            workload.config().contains(&format!("  {kind}:")) && !skipped
        });
        assert_eq!(tracked.count(), workload.tracked_live());
    }
}

#[test]
fn a_cluster_that_starts_empty_is_built_by_the_first_steps() {
    for mix in MIXES {
        let mut workload = Workload::new(options(mix));
        assert_eq!(workload.tracked_live(), 0);
        workload.skip_steps(1_500);
        assert!(workload.tracked_live() > 240, "{mix}");
    }
}

#[test]
fn steps_cover_the_duration_in_bursts() {
    for mix in MIXES {
        for (changes, seconds) in [(10_000, 3_600), (10_000, 60), (2_000, 86_400)] {
            let options = WorkloadOptions {
                changes,
                duration: Duration::from_secs(seconds),
                ..options(mix)
            };
            let start = options.start;
            let mut workload = Workload::new(options);
            let mut times = Vec::new();
            while workload.skip_steps(1) == 1 {
                times.push(workload.now().as_micros() - start.as_micros());
            }
            let covered = times[times.len() - 1] as f64 / (seconds as f64 * 1e6);
            assert!(
                (0.9..1.1).contains(&covered),
                "{mix}: {covered} of {seconds} s"
            );
            assert!(times[0] >= -1_000_000 * seconds as i64 / changes as i64);
            let same_second = times.windows(2).filter(|pair| {
                (pair[0] - pair[1]).abs() < 1_000_000 && pair[0] / 1_000_000 == pair[1] / 1_000_000
            });
            assert!(same_second.count() > 300, "{mix}, {seconds} s");
        }
    }
}

#[test]
fn what_is_planned_does_not_grow_with_the_steps() {
    for mix in MIXES {
        let mut workload = Workload::new(WorkloadOptions {
            changes: 60_000,
            warm_start: true,
            ..options(mix)
        });
        while workload.skip_steps(10_000) > 0 {
            let planned = workload.cluster.agenda.len();
            assert!(planned < 2 * 300, "{mix}: {planned} tasks");
        }
    }
}

#[test]
fn extreme_options_do_no_harm() {
    let extremes = [
        (0, 1_000, Duration::ZERO),
        (1, 1_000, Duration::MAX),
        (2, u64::MAX, Duration::from_secs(1)),
        (100, 0, Duration::from_secs(1)),
    ];
    for mix in MIXES {
        for warm_start in [false, true] {
            for (objects, changes, duration) in extremes {
                let workload = Workload::new(WorkloadOptions {
                    objects,
                    changes,
                    duration,
                    warm_start,
                    ..options(mix)
                });
                let expected = changes.min(1_000) as usize;
                assert_eq!(workload.take(1_000).count(), expected);
            }
        }
    }
}

#[test]
fn mixes_have_names() {
    for mix in MIXES {
        assert_eq!(mix.to_string().parse(), Ok(mix));
    }
    let message = "\"churn\" is not a workload mix: expected mixed, update-heavy or pod-churn";
    assert_eq!("churn".parse::<Mix>().unwrap_err().to_string(), message);
}
