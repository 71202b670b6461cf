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
        let of = |list: &str| {
            let list = status.get(list).and_then(Value::as_array);
            list.into_iter().flatten().map(Container::of)
        };
        let phase = status.get("phase").and_then(Value::as_str);
        Self::new(
            containers,
            phase,
            of("initContainerStatuses"),
            of("containerStatuses"),
        )
    }

    /// The same from the status as text, which is not built as a [`Value`] where it has the form that it should have.
    ///
    /// # Errors
    /// When it is not JSON.
    pub(crate) fn from_status_json(
        containers: usize,
        status: &str,
    ) -> Result<Self, serde_json::Error> {
        let Ok(lean::Object(read)) = serde_json::from_str::<lean::Object<lean::Status<'_>>>(status)
        else {
            return Ok(Self::from_status(
                containers,
                &serde_json::from_str(status)?,
            ));
        };
        Ok(Self::new(
            containers,
            read.phase.as_deref(),
            lean::times(&read.init_container_statuses),
            lean::times(&read.container_statuses),
        ))
    }

    fn new(
        containers: usize,
        phase: Option<&str>,
        init: impl Iterator<Item = Container>,
        main: impl Iterator<Item = Container>,
    ) -> Self {
        let mut start = None;
        let mut end = None;
        let mut terminated = 0;
        let all = init.map(|container| (container, false));
        for (container, main) in all.chain(main.map(|container| (container, true))) {
            start = [start, container.start].into_iter().flatten().min();
            if let Some(finished) = container.ended {
                terminated += usize::from(main);
                end = end.max(finished);
            }
        }
        Self {
            start,
            containers_end: end.filter(|_| containers > 0 && terminated >= containers),
            terminal: matches!(phase, Some("Succeeded" | "Failed")),
        }
    }
}

/// When a container ran.
struct Container {
    /// Its earliest `startedAt`.
    start: Option<Timestamp>,
    /// Present where it has terminated; its `finishedAt`, where that says something.
    ended: Option<Option<Timestamp>>,
}

impl Container {
    fn of(status: &Value) -> Self {
        let state = status.get("state");
        let running = state.and_then(|state| state.get("running"));
        let ended = state.and_then(|state| state.get("terminated"));
        let ended = ended.filter(|ended| ended.is_object());
        let before = status.pointer("/lastState/terminated");
        let parts = [running, ended, before].into_iter().flatten();
        let text = |part: &Value, field: &str| time(part.get(field)?.as_str()?);
        Self {
            start: parts.filter_map(|part| text(part, "startedAt")).min(),
            ended: ended.map(|ended| text(ended, "finishedAt")),
        }
    }
}

/// A status of the usual form, as far as it is read.
mod lean {
    use std::borrow::Cow;
    use std::fmt;
    use std::marker::PhantomData;

    use serde::Deserialize;
    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Deserializer, MapAccess, Visitor};

    use super::time;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Status<'a> {
        #[serde(borrow, default)]
        pub(super) phase: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        pub(super) init_container_statuses: Option<Vec<Object<Container<'a>>>>,
        #[serde(borrow, default)]
        pub(super) container_statuses: Option<Vec<Object<Container<'a>>>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Container<'a> {
        #[serde(borrow, default)]
        state: Option<Object<State<'a>>>,
        #[serde(borrow, default)]
        last_state: Option<Object<State<'a>>>,
    }

    #[derive(Deserialize)]
    struct State<'a> {
        #[serde(borrow, default)]
        running: Option<Object<Run<'a>>>,
        #[serde(borrow, default)]
        terminated: Option<Object<Run<'a>>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Run<'a> {
        #[serde(borrow, default)]
        started_at: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        finished_at: Option<Cow<'a, str>>,
    }

    /// What is read from an object only: a derived struct is read from an array, too.
    pub(super) struct Object<T>(pub(super) T);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Read<T>(PhantomData<T>);

            impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
                type Value = Object<T>;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                    T::deserialize(MapAccessDeserializer::new(map)).map(Object)
                }
            }

            deserializer.deserialize_map(Read(PhantomData))
        }
    }

    pub(super) fn times(
        containers: &Option<Vec<Object<Container<'_>>>>,
    ) -> impl Iterator<Item = super::Container> {
        let containers = containers.iter().flatten();
        containers.map(|Object(container)| container.times())
    }

    impl Container<'_> {
        fn times(&self) -> super::Container {
            let state = self.state.as_ref().map(|Object(state)| state);
            let running = state.and_then(|state| state.running.as_ref());
            let ended = state.and_then(|state| state.terminated.as_ref());
            let before = self.last_state.as_ref();
            let before = before.and_then(|Object(state)| state.terminated.as_ref());
            let parts = [running, ended, before].into_iter().flatten();
            super::Container {
                start: parts
                    .filter_map(|Object(run)| time(run.started_at.as_deref()?))
                    .min(),
                ended: ended.map(|Object(run)| time(run.finished_at.as_deref()?)),
            }
        }
    }
}

/// A time as Kubernetes writes it (RFC 3339, with or without a fraction of the second); `None` where it says nothing.
fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
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

    /// What both ways say of the status.
    #[track_caller]
    fn times_of(pod: &Value) -> PodTimes {
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        let containers = containers.map_or(0, Vec::len);
        let times = PodTimes::from_pod(pod);
        let status = pod.get("status").unwrap_or(&Value::Null).to_string();
        let lean = PodTimes::from_status_json(containers, &status);
        assert_eq!(lean.ok(), Some(times), "{status}");
        times
    }

    #[test]
    fn a_pod_without_status_or_with_waiting_containers_says_nothing() {
        assert_eq!(times_of(&json!({})), PodTimes::default());
        assert_eq!(times_of(&json!(null)), PodTimes::default());
        let waiting = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
        let times = times_of(&pod(1, "Pending", vec![], vec![waiting]));
        assert_eq!(times, PodTimes::default());
    }

    #[test]
    fn the_start_is_the_earliest_of_all_containers_with_the_init_containers() {
        let times = times_of(&pod(2, "Running", vec![], vec![running(9), running(7)]));
        assert_eq!(times.start, at(7));
        let times = times_of(&pod(1, "Running", vec![terminated(1, 2)], vec![running(3)]));
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
        let times = times_of(&pod(1, "Running", vec![], vec![container]));
        assert_eq!((times.start, times.containers_end), (at(10), None));
    }

    #[test]
    fn a_crash_looping_pod_has_not_ended() {
        let waiting = json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"startedAt": text(10), "finishedAt": text(40)}},
        });
        let times = times_of(&pod(1, "Running", vec![], vec![waiting]));
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
        assert_eq!(times_of(&one).containers_end, None);
        let both = pod(
            2,
            "Succeeded",
            init,
            vec![terminated(3, 9), terminated(4, 8)],
        );
        let times = times_of(&both);
        assert_eq!(
            (times.start, times.containers_end, times.terminal),
            (at(1), at(9), true)
        );
    }

    #[test]
    fn a_sidecar_that_ends_after_the_main_containers_is_the_end() {
        let times = times_of(&pod(
            1,
            "Succeeded",
            vec![terminated(1, 12)],
            vec![terminated(3, 9)],
        ));
        assert_eq!(times.containers_end, at(12));
    }

    #[test]
    fn containers_whose_status_is_missing_have_not_terminated() {
        let times = times_of(&pod(2, "Running", vec![], vec![terminated(3, 9)]));
        assert_eq!(times.containers_end, None);
        // Without a spec, nothing tells how many there are.
        let mut unknown = pod(0, "Running", vec![], vec![terminated(3, 9)]);
        assert_eq!(times_of(&unknown).containers_end, None);
        unknown["spec"] = Value::Null;
        assert_eq!(times_of(&unknown).containers_end, None);
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
                times_of(&pod(1, phase, vec![], vec![])).terminal,
                terminal,
                "{phase}"
            );
        }
    }

    #[test]
    fn fractions_of_a_second_and_offsets_are_read() {
        let container =
            json!({"state": {"running": {"startedAt": "2023-11-14T23:13:20.250000+01:00"}}});
        let times = times_of(&pod(1, "Running", vec![], vec![container]));
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
            let times = times_of(&pod(2, "Failed", vec![], vec![container, terminated(3, 9)]));
            assert_eq!((times.start, times.containers_end), (at(3), at(9)), "{bad}");
        }
    }

    #[test]
    fn statuses_of_the_wrong_shape_say_nothing() {
        for status in [
            json!("Running"),
            json!({"phase": 1, "containerStatuses": "x", "initContainerStatuses": {"state": 1}}),
            json!({"containerStatuses": [1, null, {"state": []}, {"state": {"terminated": 1}}]}),
            json!([null, [], []]),
            json!({"containerStatuses": [[{"running": {"startedAt": text(5)}}]]}),
            json!({"containerStatuses": [{"state": [{"startedAt": text(5)}]}]}),
            json!({"containerStatuses": [{"state": {"terminated": [text(5), text(6)]}}]}),
        ] {
            let pod = json!({"spec": {"containers": [{}]}, "status": status});
            assert_eq!(times_of(&pod), PodTimes::default(), "{status}");
        }
    }

    #[test]
    fn a_state_that_is_null_is_absent() {
        let mut container = running(5);
        container["state"]["terminated"] = Value::Null;
        let times = times_of(&pod(
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
        assert_eq!(times_of(&pod).start, at(5));
    }
}
