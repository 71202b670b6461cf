//! Pod specs over every field that Kubernetes 1.30 to 1.37 knows.
//!
//! `data/podspec-fields.json` lists the structs below `PodSpec` with their fields, types and, for the newer ones, the release that
//! brought them; it was read out of k8s-openapi 0.26 (v1_30 ... v1_32) and 0.29 (v1_33 ... v1_37). SimKube reads pods with the
//! types of 1.30, so everything with a `since` is dropped there. [`spec_with`] leads a spec to one struct and lets the rest
//! vary, so that each struct is met often, however deep it stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One field of a struct below `PodSpec`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `string`, `bool`, `i32`, `i64`, `Quantity`, `IntOrString`, `Time`, `FieldsV1`, a struct, `list<T>` or `map<string, T>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always written by the types of Kubernetes, with a default where it was missing.
    #[serde(default)]
    pub required: bool,
    /// The first release that knows the field, where that is later than 1.30.
    #[serde(default)]
    pub since: Option<String>,
}

/// Struct -> field -> what it is.
pub type Schema = BTreeMap<String, BTreeMap<String, Field>>;

/// How strict the generated specs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As an API server writes them: required fields present, no nulls, canonical quantities.
    Server,
    /// As they may stand in a file: nulls, required fields missing, numbers as quantities, fields that nobody knows.
    Rough,
}

static SCHEMA: LazyLock<Result<Schema, serde_json::Error>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../data/podspec-fields.json")));

/// The table of fields.
pub fn schema() -> Result<&'static Schema> {
    SCHEMA
        .as_ref()
        .map_err(|error| anyhow::anyhow!("data/podspec-fields.json: {error}"))
}

/// The structs that a pod spec can contain, and the way to each: (struct, field) steps from `PodSpec`.
pub fn ways() -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let schema = schema()?;
    let mut ways = BTreeMap::from([("PodSpec".to_owned(), Vec::new())]);
    let mut queue = VecDeque::from(["PodSpec".to_owned()]);
    while let Some(name) = queue.pop_front() {
        let way: Vec<(String, String)> = ways.get(&name).cloned().unwrap_or_default();
        for (field, about) in schema
            .get(&name)
            .with_context(|| format!("no struct {name}"))?
        {
            let inner = innermost(&about.kind);
            if schema.contains_key(inner) && !ways.contains_key(inner) {
                let mut longer = way.clone();
                longer.push((name.clone(), field.clone()));
                ways.insert(inner.to_owned(), longer);
                queue.push_back(inner.to_owned());
            }
        }
    }
    Ok(ways)
}

/// Pod specs that contain the struct at the end of `way`, where its fields come and go.
pub fn spec_with(way: &[(String, String)], manner: Manner) -> Result<BoxedStrategy<Value>> {
    let target = match way.last() {
        Some((name, field)) => {
            let about = schema()?.get(name).and_then(|fields| fields.get(field));
            innermost(
                &about
                    .with_context(|| format!("no field {name}.{field}"))?
                    .kind,
            )
            .to_owned()
        }
        None => "PodSpec".to_owned(),
    };
    let plan = Plan {
        schema: schema()?,
        way: way.to_vec(),
        target,
        manner,
    };
    Ok(plan.structure("PodSpec", 0))
}

/// The same spec without the fields that came after 1.30, and without those that no release knows.
pub fn without_newer_fields(spec: &Value) -> Result<Value> {
    let schema = schema()?;
    Ok(strip(schema, "PodSpec", spec))
}

/// Notes every (struct, field) that is present in `spec` with a value.
pub fn note_fields(spec: &Value, seen: &mut BTreeSet<(String, String)>) -> Result<()> {
    note(schema()?, "PodSpec", spec, seen);
    Ok(())
}

struct Plan {
    schema: &'static Schema,
    way: Vec<(String, String)>,
    target: String,
    manner: Manner,
}

impl Plan {
    /// A struct: each field by its own chance, except that the way is always taken.
    fn structure(&self, name: &str, depth: usize) -> BoxedStrategy<Value> {
        let Some(fields) = self.schema.get(name) else {
            return Just(json!({})).boxed();
        };
        let chance = if name == self.target {
            0.5
        } else {
            1.5 / (fields.len() as f64 + 2.0) / (1.0 + depth as f64)
        };
        let mut parts: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
        for (field, about) in fields {
            let on_way = self
                .way
                .iter()
                .any(|(from, by)| from == name && by == field);
            let key = field.clone();
            let value = self
                .value(name, field, &about.kind, on_way, depth)
                .prop_map(move |value| (key.clone(), value));
            let key = field.clone();
            parts.push(match (on_way || about.required, self.manner) {
                (true, Manner::Server) => value.prop_map(Some).boxed(),
                (true, Manner::Rough) if on_way => value.prop_map(Some).boxed(),
                (true, Manner::Rough) => {
                    prop_oneof![8 => value.prop_map(Some), 1 => Just(None), 1 => Just(Some((key, Value::Null)))].boxed()
                },
                (false, Manner::Server) => proptest::option::weighted(chance, value).boxed(),
                (false, Manner::Rough) => {
                    let null = Just((key, Value::Null));
                    proptest::option::weighted(chance, prop_oneof![5 => value, 1 => null]).boxed()
                },
            });
        }
        if self.manner == Manner::Rough {
            let unknown = any_json().prop_map(|value| ("aFieldOfTomorrow".to_owned(), value));
            parts.push(proptest::option::weighted(0.1, unknown).boxed());
        }
        parts
            .prop_map(|parts| Value::Object(parts.into_iter().flatten().collect::<Map<_, _>>()))
            .boxed()
    }

    fn value(
        &self,
        owner: &str,
        field: &str,
        kind: &str,
        on_way: bool,
        depth: usize,
    ) -> BoxedStrategy<Value> {
        if let Some(element) = kind
            .strip_prefix("list<")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            let sizes = if on_way { 1..3 } else { 0..3 };
            return vec(self.value(owner, field, element, on_way, depth), sizes)
                .prop_map(Value::Array)
                .boxed();
        }
        if let Some(element) = kind
            .strip_prefix("map<string, ")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            let element = self.value("", "", element, false, depth);
            let map = btree_map("[a-z./-]{0,8}", element, 0..3);
            return map
                .prop_map(|map| Value::Object(map.into_iter().collect()))
                .boxed();
        }
        match (kind, self.manner) {
            ("bool", _) => any::<bool>().prop_map(Value::from).boxed(),
            ("i32", _) => prop_oneof![any::<i32>(), 0..200_i32]
                .prop_map(Value::from)
                .boxed(),
            ("i64", _) => prop_oneof![any::<i64>(), 0..200_i64]
                .prop_map(Value::from)
                .boxed(),
            ("IntOrString", _) => {
                prop_oneof![(0..70_000_i32).prop_map(Value::from), string()].boxed()
            }
            ("Quantity", Manner::Server) => quantity().boxed(),
            ("Quantity", Manner::Rough) => {
                prop_oneof![quantity(), any::<i64>().prop_map(Value::from)].boxed()
            }
            ("Time", _) => Just(json!("2026-01-02T03:04:05Z")).boxed(),
            ("FieldsV1", _) => Just(json!({"f:metadata": {"f:labels": {}}})).boxed(),
            ("string", _) if field == "name" && (owner == "Volume" || owner == "VolumeMount") => {
                volume_name().boxed()
            }
            ("string", _) => string().boxed(),
            (name, _) => self.structure(name, depth + 1),
        }
    }
}

fn string() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        4 => "[a-z][a-z0-9.-]{0,12}",
        1 => Just(String::new()),
        1 => "\\PC{0,8}",
        1 => Just("kube-api-access-x2x4z".to_owned()),
    ]
    .prop_map(Value::from)
}

fn volume_name() -> impl Strategy<Value = Value> + Clone {
    let names = [
        "data",
        "kube-api-access-9h8sd",
        "kube-api-access",
        "kube-api-acces",
        "a-kube-api-access-1",
        "tmp",
        "",
    ];
    proptest::sample::select(names.to_vec()).prop_map(Value::from)
}

fn quantity() -> impl Strategy<Value = Value> + Clone {
    proptest::sample::select(vec![
        "100m", "0", "1", "1500m", "1Gi", "1536Mi", "4e3", "12E", "0.5",
    ])
    .prop_map(Value::from)
}

/// Any JSON value that serde_json holds, a few levels deep.
pub fn any_json() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        proptest::num::f64::ANY.prop_map(Value::from),
        prop_oneof![
            Just(0.0_f64),
            Just(-0.0),
            Just(1.0),
            Just(1e300),
            Just(5e-324)
        ]
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map(prop_oneof![any::<String>(), "[a-c]{0,3}"], inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn innermost(kind: &str) -> &str {
    let kind = kind.strip_suffix('>').unwrap_or(kind);
    kind.strip_prefix("list<")
        .or_else(|| kind.strip_prefix("map<string, "))
        .unwrap_or(kind)
}

fn strip(schema: &Schema, name: &str, value: &Value) -> Value {
    match (schema.get(name), value) {
        (_, Value::Array(elements)) => Value::Array(
            elements
                .iter()
                .map(|element| strip(schema, name, element))
                .collect(),
        ),
        (Some(fields), Value::Object(object)) => {
            let known = object.iter().filter_map(|(key, value)| {
                let about = fields.get(key).filter(|about| about.since.is_none())?;
                Some((key.clone(), strip(schema, innermost(&about.kind), value)))
            });
            Value::Object(known.collect())
        }
        _ => value.clone(),
    }
}

fn note(schema: &Schema, name: &str, value: &Value, seen: &mut BTreeSet<(String, String)>) {
    match (schema.get(name), value) {
        (_, Value::Array(elements)) => elements
            .iter()
            .for_each(|element| note(schema, name, element, seen)),
        (Some(fields), Value::Object(object)) => {
            for (key, value) in object {
                if let Some(about) = fields.get(key).filter(|_| !value.is_null()) {
                    seen.insert((name.to_owned(), key.clone()));
                    note(schema, innermost(&about.kind), value, seen);
                }
            }
        }
        _ => {}
    }
}
