//! Guards against files that SimKube cannot load, and against a broken producer's output passing for a whole trace:
//! both would be noticed only when the trace is replayed, perhaps long after the cluster's data is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::BTreeMap;

use kube::core::{DynamicObject, TypeMeta};
use proptest::prelude::*;
use serde_json::json;

use super::reference::{self, Event, Lifecycle, Trace};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_those_of_rmp_serde(trace in reference::trace()) {
        prop_assert_eq!(trace.encode().unwrap(), trace.to_bytes());
    }
}

#[test]
fn bytes_are_those_of_rmp_serde_at_every_length_of_header() {
    for count in [0, 1, 15, 16, 17, 65_535, 65_536] {
        let names = || (0..count).map(|n| format!("ns/{n}"));
        let object = json!({"kind": "x"});
        let event = |n: u32| Event {
            ts: n.into(),
            applied_objs: vec![],
            deleted_objs: vec![],
        };
        let mut trace = Trace::empty();
        trace.events = (0..count).map(event).collect();
        trace.events.push(Event {
            ts: 70_000,
            applied_objs: names().map(|_| object.clone()).collect(),
            deleted_objs: names().map(|_| object.clone()).collect(),
        });
        trace.index.insert(
            "v1.Pod".to_owned(),
            names().zip((0u64..).map(|n| n << 10)).collect(),
        );
        for name in names() {
            trace
                .pod_lifecycles
                .insert(("v1.Pod".to_owned(), name), BTreeMap::new());
        }
        let lifecycles = (0..=count).map(|n| Lifecycle::Running(n.into())).collect();
        trace.pod_lifecycles.insert(
            ("v1.Pod".to_owned(), "a/b".to_owned()),
            BTreeMap::from([(7, lifecycles)]),
        );
        assert!(trace.encode().unwrap() == trace.to_bytes(), "{count}");
    }
}

#[test]
fn numbers_are_as_short_as_rmp_serde_makes_them() {
    let edges = [
        i64::MIN,
        i32::MIN.into(),
        -32_769,
        -32_768,
        -129,
        -128,
        -33,
        -32,
        -1,
        0,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        u32::MAX.into(),
        i64::from(u32::MAX) + 1,
        i64::MAX,
    ];
    let mut trace = Trace::empty();
    for edge in edges {
        trace.events.push(Event {
            ts: edge,
            applied_objs: vec![],
            deleted_objs: vec![],
        });
        trace
            .pod_lifecycles
            .entry(("v1.Pod".to_owned(), "a/b".to_owned()))
            .or_default()
            .insert(
                edge.cast_unsigned(),
                vec![
                    Lifecycle::Running(edge),
                    Lifecycle::Finished(edge, i64::MAX),
                ],
            );
    }
    assert_eq!(trace.encode().unwrap(), trace.to_bytes());
}

#[test]
fn a_deleted_object_is_what_kube_serializes() {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    for namespace in ["shop", ""] {
        let mut object = DynamicObject {
            types: Some(TypeMeta {
                api_version: "apps/v1".to_owned(),
                kind: "Deployment".to_owned(),
            }),
            metadata: Default::default(),
            data: serde_json::Value::Null,
        };
        object.metadata.name = Some("web".to_owned());
        if !namespace.is_empty() {
            object.metadata.namespace = Some(namespace.to_owned());
        }
        assert_eq!(
            deleted_object(&gvk, namespace, "web"),
            rmp_serde::to_vec_named(&object).unwrap(),
            "{namespace:?}"
        );
    }
    let core: serde_json::Value =
        rmp_serde::from_slice(&deleted_object(&Gvk::pod(), "shop", "web-0")).unwrap();
    assert_eq!(
        core,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop"}})
    );
}

const OBJECT: &[u8] = &[0x80];

type Call = fn(&mut TraceEncoder<Vec<u8>>) -> Result<(), EncodeError>;

/// Every call of one whole trace with one or two of everything, in order.
const CALLS: [(&str, Call); 18] = [
    ("header", |t| t.header(&json!({}), 2)),
    ("event_start", |t| t.event_start(1, 2)),
    ("object", |t| t.object(OBJECT)),
    ("object", |t| t.object(OBJECT)),
    ("deleted_start", |t| t.deleted_start(1)),
    ("object", |t| t.object(OBJECT)),
    ("event_start", |t| t.event_start(1, 0)),
    ("deleted_start", |t| t.deleted_start(0)),
    ("index_start", |t| t.index_start(2)),
    ("index_kind", |t| t.index_kind("v1.Pod", 1)),
    ("index_entry", |t| t.index_entry("a/b", 1)),
    ("index_kind", |t| t.index_kind("v1.Node", 0)),
    ("lifecycles_start", |t| t.lifecycles_start(2)),
    ("lifecycle_owner", |t| t.lifecycle_owner("v1.Pod", "a/b", 1)),
    ("lifecycle_hash", |t| t.lifecycle_hash(1, 2)),
    ("lifecycle", |t| t.lifecycle(1, None)),
    ("lifecycle", |t| t.lifecycle(1, Some(1))),
    ("lifecycle_owner", |t| t.lifecycle_owner("v1.Pod", "a/c", 0)),
];

fn calls<'a>(calls: impl IntoIterator<Item = &'a (&'static str, Call)>) -> TraceEncoder<Vec<u8>> {
    let mut trace = TraceEncoder::new(Vec::new());
    for (name, call) in calls {
        call(&mut trace).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    trace
}

#[test]
fn only_the_call_that_the_counts_ask_for_is_taken() {
    for (index, (due, _)) in CALLS.iter().enumerate() {
        let taken = CALLS.iter().filter(|(name, call)| {
            let mut trace = calls(&CALLS[..index]);
            let before = trace.out.len();
            match call(&mut trace) {
                Ok(()) => true,
                Err(EncodeError::Misuse { call, due: said }) => {
                    assert_eq!(call, *name);
                    assert!(said.starts_with(due), "{said} instead of {due}");
                    assert_eq!(trace.out.len(), before, "{name} wrote out of turn");
                    assert!(trace.finish().is_err());
                    false
                }
                Err(error) => panic!("{name}: {error}"),
            }
        });
        for (name, _) in taken {
            assert_eq!(name, due, "call {index}");
        }
    }
    let mut whole = calls(&CALLS);
    assert!(matches!(
        whole.object(OBJECT),
        Err(EncodeError::Misuse { call: "object", due }) if due == "finish"
    ));
}

#[test]
fn a_trace_is_finished_only_when_every_count_came_true() {
    for (index, (due, _)) in CALLS.iter().enumerate() {
        match calls(&CALLS[..index]).finish() {
            Err(EncodeError::Incomplete { due: said }) => {
                assert!(said.starts_with(due), "{said} instead of {due}");
            }
            other => panic!("after {index} calls: {other:?}"),
        }
    }
    let bytes = calls(&CALLS).finish().unwrap();
    let trace: Trace = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(trace.events.len(), 2);
}

type NamingCall<'a> = &'a dyn Fn(&mut TraceEncoder<Vec<u8>>) -> Result<(), EncodeError>;

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let events = || calls(&CALLS[..6]);
    let mut trace = events();
    assert!(matches!(
        trace.event_start(0, 0),
        Err(EncodeError::TimeWentBackwards {
            previous_seconds: 1,
            ts_seconds: 0
        })
    ));
    // After a failure the right call is refused too.
    assert!(matches!(
        trace.event_start(1, 0),
        Err(EncodeError::Misuse { .. })
    ));
    assert!(trace.finish().is_err());

    let large = vec![0x80; OBJECT_BYTES_MAX + 1];
    for body in [b"".as_slice(), b"\x90", b"\xc0", b"\xa1a", &large] {
        let error = calls(&CALLS[..2]).object(body).unwrap_err();
        assert!(matches!(error, EncodeError::InvalidObject { bytes } if bytes == body.len()));
    }
    for body in [b"\x80".as_slice(), b"\xde\0\0", b"\xdf\0\0\0\0"] {
        calls(&CALLS[..2]).object(body).unwrap();
    }

    let long = "x".repeat(TRACE_NAME_BYTES_MAX + 1);
    for name in ["", &long] {
        let calls_of_names: [(usize, NamingCall<'_>); 4] = [
            (9, &|trace| trace.index_kind(name, 0)),
            (10, &|trace| trace.index_entry(name, 0)),
            (13, &|trace| trace.lifecycle_owner(name, "a/b", 0)),
            (13, &|trace| trace.lifecycle_owner("v1.Pod", name, 0)),
        ];
        for (before, call) in calls_of_names {
            let error = call(&mut calls(&CALLS[..before])).unwrap_err();
            assert!(matches!(error, EncodeError::InvalidName { bytes } if bytes == name.len()));
        }
    }

    let error = calls(&CALLS[..14]).lifecycle_hash(9, 0).unwrap_err();
    assert!(matches!(error, EncodeError::NoLifecycles { hash: 9 }));
    let error = calls(&CALLS[..15]).lifecycle(5, Some(4)).unwrap_err();
    assert!(matches!(
        error,
        EncodeError::LifecycleInverted {
            start_s: 5,
            end_s: 4
        }
    ));
}

/// Takes some bytes, then fails; refuses to flush.
#[derive(Debug)]
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_failing_output_fails_the_trace_wherever_it_fails() {
    fn write(room: usize) -> Result<Full, EncodeError> {
        let mut trace = TraceEncoder::new(Full { room });
        let result = (|| {
            trace.header(&json!({"trackedObjects": {"v1.Pod": {}}}), 1)?;
            trace.event_start(1, 1)?;
            trace.object(OBJECT)?;
            trace.deleted_start(0)?;
            trace.index_start(0)?;
            trace.lifecycles_start(0)
        })();
        match result {
            Ok(()) => trace.finish(),
            Err(error) => {
                assert!(matches!(
                    trace.finish(),
                    Err(EncodeError::Incomplete { .. })
                ));
                Err(error)
            }
        }
    }
    // The last rooms are enough, and the flush fails.
    for room in 0..200 {
        match write(room) {
            Err(EncodeError::Write(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
            other => panic!("{room}: {other:?}"),
        }
    }
}
