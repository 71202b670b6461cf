//! When a pod ran, as far as one version of its status tells.

use serde_json::Value;

use super::Timestamp;

/// What one version of a pod's status says of when it ran (R14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodTimes {
    /// The earliest `startedAt` of any running or terminated container, init containers included.
    pub start: Option<Timestamp>,
    /// The latest `finishedAt`, only where at least as many main containers have terminated as the spec has.
    pub containers_end: Option<Timestamp>,
    /// Whether the phase is `Succeeded` or `Failed`: the pod will not run again.
    pub terminal: bool,
}

impl PodTimes {
    /// What a pod's JSON says, from `.spec.containers` (their number) and `.status`.
    ///
    /// `lastState.terminated` counts for the start: after the first restart of a container that is where its first
    /// start stands. It never counts for the end. Ephemeral containers do not count at all, as in SimKube.
    ///
    /// Nothing here is fatal: what has the wrong shape, a time that cannot be read, and a time at or before the Unix
    /// epoch (which is what runtimes report for a container that was created and never started) says nothing.
    pub fn from_pod(pod: &Value) -> Self {
        let containers = pod.pointer("/spec/containers");
        let containers = containers.and_then(Value::as_array).map_or(0, Vec::len);
        pod.get("status").map_or_else(Self::default, |status| {
            Self::from_status(containers, status)
        })
    }

    /// The same from the number of containers in the pod's spec and its `.status`.
    pub(crate) fn from_status(containers: usize, status: &Value) -> Self {
        let mut start = None;
        let mut end = None;
        let mut terminated = 0;
        for (list, main) in [
            ("initContainerStatuses", false),
            ("containerStatuses", true),
        ] {
            let list = status.get(list).and_then(Value::as_array);
            for container in list.into_iter().flatten() {
                let state = container.get("state");
                let running = state.and_then(|state| state.get("running"));
                let ended = state.and_then(|state| state.get("terminated"));
                let ended = ended.filter(|ended| ended.is_object());
                let before = container.pointer("/lastState/terminated");
                for part in [running, ended, before].into_iter().flatten() {
                    let started = time(part.get("startedAt"));
                    start = [start, started].into_iter().flatten().min();
                }
                if let Some(ended) = ended {
                    terminated += usize::from(main);
                    end = end.max(time(ended.get("finishedAt")));
                }
            }
        }
        let phase = status.get("phase").and_then(Value::as_str);
        Self {
            start,
            containers_end: end.filter(|_| containers > 0 && terminated >= containers),
            terminal: matches!(phase, Some("Succeeded" | "Failed")),
        }
    }
}

/// A time as Kubernetes writes it (RFC 3339, with or without a fraction of the second); `None` where it says nothing.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let time: jiff::Timestamp = value?.as_str()?.parse().ok()?;
    let time = Timestamp::from_micros(time.as_microsecond());
    (time > Timestamp::from_micros(0)).then_some(time)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    //! Guards the lifecycles: a wrong start or end here is a pod that runs for the wrong time in every replay.
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        // 2023-11-14T22:13:20Z
        Some(Timestamp::from_seconds(1_700_000_000 + second))
    }

    fn text(second: i64) -> Value {
        at(second).map_or(Value::Null, |at| json!(at.to_string()))
    }

    fn running(start: i64) -> Value {
        json!({"state": {"running": {"startedAt": text(start)}}})
    }

    fn terminated(start: i64, end: i64) -> Value {
        json!({"state": {"terminated": {"startedAt": text(start), "finishedAt": text(end)}}})
    }

    fn pod(containers: usize, phase: &str, init: Vec<Value>, main: Vec<Value>) -> Value {
        json!({
            "spec": {"containers": vec![json!({}); containers]},
            "status": {"phase": phase, "initContainerStatuses": init, "containerStatuses": main},
        })
    }

    #[test]
    fn a_pod_without_status_or_with_waiting_containers_says_nothing() {
        assert_eq!(PodTimes::from_pod(&json!({})), PodTimes::default());
        assert_eq!(PodTimes::from_pod(&json!(null)), PodTimes::default());
        let waiting = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
        let times = PodTimes::from_pod(&pod(1, "Pending", vec![], vec![waiting]));
        assert_eq!(times, PodTimes::default());
    }

    #[test]
    fn the_start_is_the_earliest_of_all_containers_with_the_init_containers() {
        let times = PodTimes::from_pod(&pod(2, "Running", vec![], vec![running(9), running(7)]));
        assert_eq!(times.start, at(7));
        let times =
            PodTimes::from_pod(&pod(1, "Running", vec![terminated(1, 2)], vec![running(3)]));
        assert_eq!(
            (times.start, times.containers_end, times.terminal),
            (at(1), None, false)
        );
    }

    #[test]
    fn a_restarted_container_still_started_when_it_first_started() {
        let mut container = running(50);
        container["lastState"] =
            json!({"terminated": {"startedAt": text(10), "finishedAt": text(40)}});
        let times = PodTimes::from_pod(&pod(1, "Running", vec![], vec![container]));
        assert_eq!((times.start, times.containers_end), (at(10), None));
    }

    #[test]
    fn a_crash_looping_pod_has_not_ended() {
        let waiting = json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"startedAt": text(10), "finishedAt": text(40)}},
        });
        let times = PodTimes::from_pod(&pod(1, "Running", vec![], vec![waiting]));
        assert_eq!(
            (times.start, times.containers_end, times.terminal),
            (at(10), None, false)
        );
    }

    #[test]
    fn the_end_is_the_latest_and_known_once_all_main_containers_have_terminated() {
        let init = vec![terminated(1, 2)];
        let one = pod(
            2,
            "Running",
            init.clone(),
            vec![terminated(3, 9), running(4)],
        );
        assert_eq!(PodTimes::from_pod(&one).containers_end, None);
        let both = pod(
            2,
            "Succeeded",
            init,
            vec![terminated(3, 9), terminated(4, 8)],
        );
        let times = PodTimes::from_pod(&both);
        assert_eq!(
            (times.start, times.containers_end, times.terminal),
            (at(1), at(9), true)
        );
    }

    #[test]
    fn a_sidecar_that_ends_after_the_main_containers_is_the_end() {
        let times = PodTimes::from_pod(&pod(
            1,
            "Succeeded",
            vec![terminated(1, 12)],
            vec![terminated(3, 9)],
        ));
        assert_eq!(times.containers_end, at(12));
    }

    #[test]
    fn containers_whose_status_is_missing_have_not_terminated() {
        let times = PodTimes::from_pod(&pod(2, "Running", vec![], vec![terminated(3, 9)]));
        assert_eq!(times.containers_end, None);
        // Without a spec, nothing tells how many there are.
        let mut unknown = pod(0, "Running", vec![], vec![terminated(3, 9)]);
        assert_eq!(PodTimes::from_pod(&unknown).containers_end, None);
        unknown["spec"] = Value::Null;
        assert_eq!(PodTimes::from_pod(&unknown).containers_end, None);
    }

    #[test]
    fn terminal_is_what_the_phase_says() {
        for (phase, terminal) in [
            ("Pending", false),
            ("Running", false),
            ("Unknown", false),
            ("Succeeded", true),
            ("Failed", true),
        ] {
            assert_eq!(
                PodTimes::from_pod(&pod(1, phase, vec![], vec![])).terminal,
                terminal,
                "{phase}"
            );
        }
    }

    #[test]
    fn fractions_of_a_second_and_offsets_are_read() {
        let container =
            json!({"state": {"running": {"startedAt": "2023-11-14T23:13:20.250000+01:00"}}});
        let times = PodTimes::from_pod(&pod(1, "Running", vec![], vec![container]));
        assert_eq!(
            times.start,
            Some(Timestamp::from_micros(1_700_000_000_250_000))
        );
    }

    #[test]
    fn times_that_say_nothing_are_passed_over() {
        for bad in [
            json!(null),
            json!(5),
            json!({}),
            json!("yesterday"),
            json!("2023-11-14T22:13:20"),
            json!("1970-01-01T00:00:00Z"),
            json!("0001-01-01T00:00:00Z"),
        ] {
            let container = json!({"state": {"terminated": {"startedAt": bad, "finishedAt": bad}}});
            let times =
                PodTimes::from_pod(&pod(2, "Failed", vec![], vec![container, terminated(3, 9)]));
            assert_eq!((times.start, times.containers_end), (at(3), at(9)), "{bad}");
        }
    }

    #[test]
    fn statuses_of_the_wrong_shape_say_nothing() {
        for status in [
            json!("Running"),
            json!({"phase": 1, "containerStatuses": "x", "initContainerStatuses": {"state": 1}}),
            json!({"containerStatuses": [1, null, {"state": []}, {"state": {"terminated": 1}}]}),
        ] {
            let pod = json!({"spec": {"containers": [{}]}, "status": status});
            assert_eq!(PodTimes::from_pod(&pod), PodTimes::default(), "{status}");
        }
    }

    #[test]
    fn a_state_that_is_null_is_absent() {
        let mut container = running(5);
        container["state"]["terminated"] = Value::Null;
        let times = PodTimes::from_pod(&pod(
            2,
            "Running",
            vec![],
            vec![container, terminated(3, 9)],
        ));
        assert_eq!((times.start, times.containers_end), (at(3), None));
    }

    #[test]
    fn ephemeral_containers_do_not_count() {
        let mut pod = pod(1, "Running", vec![], vec![running(5)]);
        pod["status"]["ephemeralContainerStatuses"] = json!([running(1)]);
        assert_eq!(PodTimes::from_pod(&pod).start, at(5));
    }
}
