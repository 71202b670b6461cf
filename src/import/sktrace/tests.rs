//! Guards against a hostile or broken file that takes the process down (memory, stack, panic), and against one that is
//! taken for something else than it is: a cut-off trace that imports as a shorter one, or a field that SimKube reads
//! differently.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::io;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::export::encode::sktrace::reference::{self, Event, Lifecycle, Trace};
use hand_made::problem;

mod bombs;
mod events;
mod faults;
mod hand_made;
mod index;
mod values;

/// Puts together what it is handed, and checks the order in which it comes.
struct Collector {
    trace: Trace,
    configs: usize,
    in_event: bool,
}

impl Collector {
    fn new() -> Self {
        Self {
            trace: Trace::empty(),
            configs: 0,
            in_event: false,
        }
    }

    fn read(input: impl Read) -> Result<(Trace, TraceSummary), TraceError> {
        let mut collector = Self::new();
        let summary = read(input, &mut collector)?;
        assert_eq!(collector.configs, 1);
        assert!(!collector.in_event);
        Ok((collector.trace, summary))
    }
}

impl TraceVisitor for Collector {
    type Error = Infallible;

    fn config(&mut self, config: Value) -> Result<(), Infallible> {
        assert!(self.trace.events.is_empty() && self.trace.index.is_empty());
        assert!(self.trace.pod_lifecycles.is_empty());
        self.configs += 1;
        self.trace.config = config;
        Ok(())
    }

    fn event_started(&mut self, ts: i64) -> Result<(), Infallible> {
        assert_eq!(self.configs, 1);
        assert!(!std::mem::replace(&mut self.in_event, true));
        self.trace.events.push(Event {
            ts,
            applied_objs: vec![],
            deleted_objs: vec![],
        });
        Ok(())
    }

    fn applied(&mut self, object: Value) -> Result<(), Infallible> {
        assert!(self.in_event);
        let event = self.trace.events.last_mut().unwrap();
        assert!(event.deleted_objs.is_empty());
        event.applied_objs.push(object);
        Ok(())
    }

    fn deleted(&mut self, object: Value) -> Result<(), Infallible> {
        assert!(self.in_event);
        self.trace
            .events
            .last_mut()
            .unwrap()
            .deleted_objs
            .push(object);
        Ok(())
    }

    fn event_finished(&mut self) -> Result<(), Infallible> {
        assert!(std::mem::replace(&mut self.in_event, false));
        Ok(())
    }

    fn index_entry(&mut self, gvk: &Gvk, name: &str, hash: u64) -> Result<(), Infallible> {
        assert_eq!(self.configs, 1);
        let kind = self.trace.index.entry(gvk.to_string()).or_default();
        kind.insert(name.to_owned(), hash);
        Ok(())
    }

    fn lifecycle(
        &mut self,
        owner_gvk: &Gvk,
        owner_name: &str,
        pod_spec_hash: u64,
        start_s: i64,
        end_s: Option<i64>,
    ) -> Result<(), Infallible> {
        assert_eq!(self.configs, 1);
        let owner = (owner_gvk.to_string(), owner_name.to_owned());
        let hashes = self.trace.pod_lifecycles.entry(owner).or_default();
        hashes.entry(pod_spec_hash).or_default().push(match end_s {
            None => Lifecycle::Running(start_s),
            Some(end_s) => Lifecycle::Finished(start_s, end_s),
        });
        Ok(())
    }
}

/// What a visitor is told of a trace: kinds, owners and hashes that hold nothing are not mentioned.
fn as_told(mut trace: Trace) -> Trace {
    trace.index.retain(|_, objects| !objects.is_empty());
    for hashes in trace.pod_lifecycles.values_mut() {
        for lifecycles in hashes.values_mut() {
            lifecycles.retain(|lifecycle| *lifecycle != Lifecycle::Empty);
        }
        hashes.retain(|_, lifecycles| !lifecycles.is_empty());
    }
    trace.pod_lifecycles.retain(|_, hashes| !hashes.is_empty());
    trace
}

fn summary_of(trace: &Trace) -> TraceSummary {
    let lifecycles = trace
        .pod_lifecycles
        .values()
        .flat_map(|hashes| hashes.values());
    let count = |len: usize| len as u64;
    TraceSummary {
        events: count(trace.events.len()),
        applied: trace
            .events
            .iter()
            .map(|event| count(event.applied_objs.len()))
            .sum(),
        deleted: trace
            .events
            .iter()
            .map(|event| count(event.deleted_objs.len()))
            .sum(),
        index_entries: trace
            .index
            .values()
            .map(|objects| count(objects.len()))
            .sum(),
        lifecycles: lifecycles.map(|lifecycles| count(lifecycles.len())).sum(),
        first_ts: trace.events.first().map(|event| event.ts),
        last_ts: trace.events.last().map(|event| event.ts),
    }
}

/// Gives its bytes in pieces of changing length, interrupted now and then.
struct Dribble<'a> {
    bytes: &'a [u8],
    reads: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = (self.reads % 7 + 1).min(buffer.len());
        self.bytes.read(&mut buffer[..len])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_is_read(trace in reference::trace()) {
        let bytes = trace.encode().unwrap();
        let (read, summary) = Collector::read(bytes.as_slice()).unwrap();
        prop_assert_eq!(check(bytes.as_slice()).unwrap(), summary);
        prop_assert_eq!(summary, summary_of(&trace));
        prop_assert_eq!(read, as_told(trace));
        let (dribbled, _) = Collector::read(Dribble { bytes: &bytes, reads: 0 }).unwrap();
        prop_assert_eq!(dribbled, Collector::read(bytes.as_slice()).unwrap().0);
    }

    #[test]
    fn every_truncated_prefix_is_an_error(trace in reference::trace(), at in any::<prop::sample::Index>()) {
        let bytes = trace.to_bytes();
        let at = at.index(bytes.len());
        prop_assert!(is_truncated(&bytes[..at]), "{} of {}", at, bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    /// What passes after some bytes were changed is what SimKube's parser makes of it, too.
    #[test]
    fn changed_bytes_never_panic_and_never_mean_something_else(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = Trace::small().to_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok((ours, summary)) = Collector::read(bytes.as_slice()) {
            let theirs: Trace = rmp_serde::from_slice(&bytes).unwrap();
            prop_assert_eq!(theirs.version, 2);
            prop_assert_eq!(ours, as_told(theirs));
            prop_assert_eq!(check(bytes.as_slice()).unwrap(), summary);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(check(bytes.as_slice()).is_err());
    }
}

fn is_truncated(bytes: &[u8]) -> bool {
    matches!(problem(bytes).1, Problem::Truncated { .. })
}

#[test]
fn every_truncated_prefix_of_a_small_trace_is_an_error() {
    let bytes = Trace::small().to_bytes();
    assert!(check(bytes.as_slice()).is_ok());
    for at in 0..bytes.len() {
        assert!(is_truncated(&bytes[..at]), "{at}");
    }
}

/// The real traces lie next to the checkout, not in it.
fn real_trace(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/traces")
        .join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    bytes
}

/// Read by us it is what rmp-serde reads; and what we write of its events is what SimKube wrote.
fn assert_real_trace(bytes: &[u8], expected: TraceSummary) {
    assert_eq!(check(bytes).unwrap(), expected);
    let theirs: Trace = rmp_serde::from_slice(bytes).unwrap();
    assert_eq!(summary_of(&theirs), expected);
    let (ours, _) = Collector::read(bytes).unwrap();
    assert_eq!(ours, as_told(theirs));

    let events = |bytes: &[u8]| {
        let find = |key: &[u8]| {
            bytes
                .windows(key.len())
                .position(|window| window == key)
                .unwrap()
        };
        bytes[find(b"\xa6events")..find(b"\xa5index")].to_vec()
    };
    assert!(events(&ours.encode().unwrap()) == events(bytes));
}

#[test]
fn a_real_trace_of_a_cronjob_is_read() {
    let Some(bytes) = real_trace("cronjob.sktrace") else {
        return;
    };
    assert_real_trace(
        &bytes,
        TraceSummary {
            events: 3,
            applied: 1,
            deleted: 1,
            index_entries: 1,
            lifecycles: 3,
            first_ts: Some(1_743_286_823),
            last_ts: Some(1_743_287_028),
        },
    );
}

#[test]
fn a_real_trace_of_many_deployments_is_read() {
    let Some(bytes) = real_trace("dsb-scaling.sktrace") else {
        return;
    };
    assert_real_trace(
        &bytes,
        TraceSummary {
            events: 19,
            applied: 46,
            deleted: 0,
            index_entries: 27,
            lifecycles: 0,
            first_ts: Some(1_710_892_138),
            last_ts: Some(1_710_893_272),
        },
    );
}

struct Broken<'a> {
    bytes: &'a [u8],
}

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            len => Ok(len),
        }
    }
}

#[test]
fn a_failing_input_is_not_taken_for_the_end_of_the_trace() {
    let bytes = Trace::small().to_bytes();
    for at in [0, 1, 10, bytes.len() - 1, bytes.len()] {
        match check(Broken {
            bytes: &bytes[..at],
        }) {
            Err(TraceError::Read { offset, source }) => {
                assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
                assert!(offset <= at as u64);
            }
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("enough")]
struct Enough;

/// Gives up at the n-th call.
struct Impatient(usize);

impl Impatient {
    fn call(&mut self) -> Result<(), Enough> {
        self.0 = self.0.checked_sub(1).ok_or(Enough)?;
        Ok(())
    }
}

impl TraceVisitor for Impatient {
    type Error = Enough;

    fn config(&mut self, _: Value) -> Result<(), Enough> {
        self.call()
    }
    fn event_started(&mut self, _: i64) -> Result<(), Enough> {
        self.call()
    }
    fn applied(&mut self, _: Value) -> Result<(), Enough> {
        self.call()
    }
    fn deleted(&mut self, _: Value) -> Result<(), Enough> {
        self.call()
    }
    fn event_finished(&mut self) -> Result<(), Enough> {
        self.call()
    }
    fn index_entry(&mut self, _: &Gvk, _: &str, _: u64) -> Result<(), Enough> {
        self.call()
    }
    fn lifecycle(
        &mut self,
        _: &Gvk,
        _: &str,
        _: u64,
        _: i64,
        _: Option<i64>,
    ) -> Result<(), Enough> {
        self.call()
    }
}

#[test]
fn a_visitor_that_gives_up_stops_the_reading() {
    let bytes = Trace::small().to_bytes();
    // One config; three events with start and end, four objects in them; one entry of the index; two lifecycles.
    let calls = 1 + 3 * 2 + 4 + 1 + 2;
    for call in 0..calls {
        let result = read(bytes.as_slice(), &mut Impatient(call));
        assert!(matches!(result, Err(TraceError::Visitor(Enough))), "{call}");
    }
    assert!(read(bytes.as_slice(), &mut Impatient(calls)).is_ok());
}
