//! Guards what the demo, the tests and the benches take for granted of the synthetic cluster: that it is the same
//! every time, that it never contradicts itself (a recorder would be blamed for it), that every scenario which sets a
//! good recorder apart really occurs, and that sizes and numbers are those that a report claims.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod consistency;
mod repeatability;
mod scenarios;
mod size;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::config::TracerConfig;
use crate::model::RedactionKey;
use crate::normalize::Redaction;

use super::{Mix, Step, Verb, Workload, WorkloadOptions};

const MIXES: [Mix; 3] = [Mix::Mixed, Mix::UpdateHeavy, Mix::PodChurn];

fn options(mix: Mix) -> WorkloadOptions {
    WorkloadOptions {
        seed: 42,
        objects: 300,
        changes: 10_000,
        duration: Duration::from_secs(3_600),
        mix,
        ..WorkloadOptions::default()
    }
}

/// Nothing of the workload is a secret: any key will do.
fn redaction() -> Redaction {
    Redaction::new(RedactionKey::from_bytes([7; 32]), &TracerConfig::default())
}

/// Kind, namespace and name.
type Name = (String, String, String);

fn name(step_kind: &str, object: &Value) -> Name {
    let metadata = &object["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or("").to_owned();
    (step_kind.to_owned(), text("namespace"), text("name"))
}

/// What a watch that started with the workload knows: the simplest recorder that can be right.
#[derive(Default)]
struct Model(BTreeMap<Name, Value>);

impl Model {
    /// Applies a step, and says what was there before.
    fn apply(&mut self, step: &Step) -> Option<Value> {
        let name = name(&step.kind.to_string(), &step.object);
        match step.verb {
            Verb::Add | Verb::Modify => self.0.insert(name, step.object.clone()),
            Verb::Delete => self.0.remove(&name),
        }
    }

    fn of(workload: &Workload) -> Self {
        let live = workload.live();
        Self(
            live.map(|(kind, object)| (name(&kind.to_string(), &object), object))
                .collect(),
        )
    }
}
