//! The truth: what kube-apiserver's audit log says has happened, read without the help of any code under test.
//!
//! Every write that succeeded is one line with the whole object as it was answered, also those of the controllers, and every
//! read is one line without a body. From these lines [`Truth::read`] makes each object's life, by uid.
//!
//! What the log cannot know, so tests must not ask it of it:
//! - A write whose answer was cut off when kube-apiserver was killed may be durable and not in the log: let the writers come to
//!   rest before a kill whose aftermath is compared.
//! - Two writes of different objects are ordered by their resource versions only; the times say when requests were received and
//!   answered, and the change lies between the two.
//! - The objects of a custom kind that are removed with its definition are not logged. They end here with the definition.
//! - Leases, Events and reviews are left out.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// An audit log that is being written.
#[derive(Clone, Debug)]
pub struct Truth {
    log: PathBuf,
}

/// What the audit log said up to a moment.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// All lives of all objects, in the order of their first change in the log.
    pub lives: Vec<Life>,
    /// Requests that read.
    pub reads: Vec<Read>,
    /// Lines that could not be turned into changes: a test that compares everything asserts that there are none.
    pub unclear: Vec<String>,
}

/// One object from its creation to its deletion. A re-created object of the same name is another life.
#[derive(Clone, Debug)]
pub struct Life {
    /// API group, empty for the core group.
    pub group: String,
    /// Plural name of the resource, for example `deployments`.
    pub plural: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// In the order of their resource versions; never empty. The deletion, where there was one, is the last.
    pub changes: Vec<Change>,
}

/// One write that succeeded and changed something.
#[derive(Clone, Debug)]
pub struct Change {
    pub what: What,
    /// When the request came in. The change is not older.
    pub received: Timestamp,
    /// When it was answered. The change is not younger.
    pub answered: Timestamp,
    /// Who asked.
    pub user: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Empty, or for example `status`.
    pub subresource: String,
    /// The resource version afterwards. 0 where the answer does not say (bindings, most deletions).
    pub version: u64,
    /// The whole object afterwards; for a deletion, its last state.
    pub object: Value,
}

/// In the order in which they come in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Created,
    /// Changed, which includes being marked for deletion: the object is there until [`What::Deleted`].
    Updated,
    /// It is gone.
    Deleted,
}

/// A get, list or watch.
#[derive(Clone, Debug)]
pub struct Read {
    pub received: Timestamp,
    pub user: String,
    pub verb: String,
    pub group: String,
    pub plural: String,
    /// Path and query.
    pub uri: String,
    /// The HTTP status. 0 for a watch that has not ended.
    pub code: u64,
}

impl Truth {
    /// The record in this audit log. Nothing is read yet.
    pub fn new(log: PathBuf) -> Self {
        Self { log }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.log
    }

    /// Reads everything that was written up to now. A client may have its answer a moment before the line is there: poll.
    pub fn read(&self) -> Record {
        let log = fs::read(&self.log).unwrap_or_default();
        // What comes after the last newline is being written.
        let whole = log
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut reading = Reading::default();
        for line in log[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                Ok(event) => reading.event(&event),
                Err(error) => reading.unclear(&format!(
                    "no JSON ({error}): {}",
                    String::from_utf8_lossy(line)
                )),
            }
        }
        reading.record()
    }
}

impl Record {
    /// All lives of one resource (API group, plural).
    pub fn lives_of(&self, group: &str, plural: &str) -> impl Iterator<Item = &Life> {
        self.lives
            .iter()
            .filter(move |life| life.group == group && life.plural == plural)
    }

    /// The lives of all objects that had this name, oldest first.
    pub fn lives_named(
        &self,
        group: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Vec<&Life> {
        self.lives_of(group, plural)
            .filter(|life| life.namespace == namespace && life.name == name)
            .collect()
    }

    /// The life of one object.
    pub fn life(&self, uid: &str) -> Option<&Life> {
        self.lives.iter().find(|life| life.uid == uid)
    }

    /// The objects of one resource that exist at the end, by `namespace/name` (`name` where it has no namespace).
    pub fn alive(&self, group: &str, plural: &str) -> BTreeMap<String, &Value> {
        self.lives_of(group, plural)
            .filter(|life| life.deleted().is_none())
            .map(|life| (life.key(), life.last()))
            .collect()
    }

    /// What a user read, in order.
    pub fn reads_by(&self, user: &str) -> impl Iterator<Item = &Read> {
        self.reads.iter().filter(move |read| read.user == user)
    }
}

impl Life {
    /// `namespace/name`, or `name` where there is no namespace.
    pub fn key(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }

    /// Its deletion, if it is gone.
    pub fn deleted(&self) -> Option<&Change> {
        self.changes
            .last()
            .filter(|change| change.what == What::Deleted)
    }

    /// Its last state.
    pub fn last(&self) -> &Value {
        &self.changes[self.changes.len() - 1].object
    }

    /// The different states of its spec, in order: consecutive changes that left the spec alone count once.
    pub fn specs(&self) -> Vec<&Value> {
        let mut specs: Vec<&Value> = self
            .changes
            .iter()
            .map(|change| &change.object["spec"])
            .collect();
        specs.dedup();
        specs
    }
}

/// One line's change before it is known where it belongs.
struct Entry {
    change: Change,
    /// What to do to the last state where the answer is not the object.
    patch: Option<(&'static str, Value)>,
}

#[derive(Default)]
struct Reading {
    record: Record,
    /// uid -> index in `entries` and in `record.lives`.
    known: HashMap<String, usize>,
    entries: Vec<Vec<Entry>>,
}

impl Reading {
    fn unclear(&mut self, why: &str) {
        self.record.unclear.push(why.to_owned());
    }

    fn event(&mut self, event: &Value) {
        let text = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let code = event
            .pointer("/responseStatus/code")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let verb = text("/verb");
        let (group, plural, subresource) = (
            text("/objectRef/apiGroup"),
            text("/objectRef/resource"),
            text("/objectRef/subresource"),
        );
        let stage = text("/stage");
        let (Ok(received), Ok(answered)) = (
            text("/requestReceivedTimestamp").parse(),
            text("/stageTimestamp").parse(),
        ) else {
            return self.unclear(&format!("no times: {event}"));
        };
        let user = text("/user/username").to_owned();

        if matches!(verb, "get" | "list" | "watch") {
            // A watch is logged when it begins, and again when it ends.
            if verb != "watch" || stage == "ResponseStarted" {
                let code = if verb == "watch" { 0 } else { code };
                let uri = text("/requestURI").to_owned();
                let (verb, group, plural) = (verb.to_owned(), group.to_owned(), plural.to_owned());
                self.record.reads.push(Read {
                    received,
                    user,
                    verb,
                    group,
                    plural,
                    uri,
                    code,
                });
            } else if let Some(begun) = self
                .record
                .reads
                .iter_mut()
                .rev()
                .find(|read| read.received == received && read.uri == text("/requestURI"))
            {
                begun.code = code;
            }
            return;
        }
        if stage == "Panic" {
            return self.unclear(&format!("a panic: {event}"));
        }
        let dry = text("/requestURI").contains("dryRun=")
            || !event
                .pointer("/requestObject/dryRun")
                .is_none_or(Value::is_null);
        if stage != "ResponseComplete" || !(200..300).contains(&code) || dry {
            return;
        }
        if !matches!(
            verb,
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) || plural.is_empty()
        {
            return;
        }

        let answer = &event["responseObject"];
        let change = |what, version, object| Change {
            what,
            received,
            answered,
            user: user.clone(),
            verb: verb.to_owned(),
            subresource: subresource.to_owned(),
            version,
            object,
        };
        let named = |uid: &str| Identity {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: text("/objectRef/namespace").to_owned(),
            name: text("/objectRef/name").to_owned(),
            uid: uid.to_owned(),
        };
        match (verb, subresource) {
            ("create", "token") if plural == "serviceaccounts" => {}
            ("create", "binding") => {
                let asked = event
                    .pointer("/requestObject/metadata/uid")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let uid = if asked.is_empty() {
                    self.uid_of(&named(""))
                } else {
                    Some(asked.to_owned())
                };
                let Some(uid) = uid else {
                    return self.unclear(&format!("a binding of an unknown pod: {event}"));
                };
                let patch = Some((
                    "nodeName",
                    event
                        .pointer("/requestObject/target/name")
                        .cloned()
                        .unwrap_or_default(),
                ));
                self.add(
                    named(&uid),
                    Entry {
                        change: change(What::Updated, 0, Value::Null),
                        patch,
                    },
                );
            }
            (_, "scale") => {
                let Some(uid) = uid(answer) else {
                    return self.unclear(&format!("a scale of an unknown object: {event}"));
                };
                let patch = Some((
                    "replicas",
                    answer
                        .pointer("/spec/replicas")
                        .cloned()
                        .unwrap_or_default(),
                ));
                self.add(
                    named(uid),
                    Entry {
                        change: change(What::Updated, version(answer), Value::Null),
                        patch,
                    },
                );
            }
            ("deletecollection", "") => {
                let grace = event
                    .pointer("/requestObject/gracePeriodSeconds")
                    .and_then(Value::as_u64);
                for item in answer["items"].as_array().into_iter().flatten() {
                    // The items are as they were before: whether they go at once is for their kind's rules to say.
                    if stays(plural, item, grace) {
                        continue;
                    }
                    let Some(uid) = uid(item) else {
                        return self.unclear(&format!("an item without uid: {event}"));
                    };
                    let identity = Identity {
                        name: field(item, "name"),
                        namespace: field(item, "namespace"),
                        ..named(uid)
                    };
                    self.add(
                        identity,
                        Entry {
                            change: change(What::Deleted, 0, Value::Null),
                            patch: None,
                        },
                    );
                }
            }
            ("delete", "") if answer["kind"] == "Status" => {
                let uid = answer.pointer("/details/uid").and_then(Value::as_str);
                let Some(uid) = uid else {
                    return self.unclear(&format!("a deletion without uid: {event}"));
                };
                self.add(
                    named(uid),
                    Entry {
                        change: change(What::Deleted, 0, Value::Null),
                        patch: None,
                    },
                );
            }
            (_, "" | "status" | "finalize" | "resize" | "ephemeralcontainers" | "approval") => {
                let Some(uid) = uid(answer) else {
                    return self.unclear(&format!("an answer without uid: {event}"));
                };
                let what = match verb {
                    "delete" if !is_pending(plural, answer) => What::Deleted,
                    _ if is_removed(plural, answer) => What::Deleted,
                    "create" => What::Created,
                    "update" | "patch" if code == 201 => What::Created,
                    _ => What::Updated,
                };
                let identity = Identity {
                    name: field(answer, "name"),
                    namespace: field(answer, "namespace"),
                    ..named(uid)
                };
                self.add(
                    identity,
                    Entry {
                        change: change(what, version(answer), answer.clone()),
                        patch: None,
                    },
                );
            }
            _ => self.unclear(&format!("{verb} of {plural}/{subresource}: {event}")),
        }
    }

    fn add(&mut self, identity: Identity, entry: Entry) {
        let index = *self.known.entry(identity.uid.clone()).or_insert_with(|| {
            let Identity {
                group,
                plural,
                namespace,
                name,
                uid,
            } = identity;
            self.record.lives.push(Life {
                group,
                plural,
                namespace,
                name,
                uid,
                changes: Vec::new(),
            });
            self.entries.push(Vec::new());
            self.entries.len() - 1
        });
        self.entries[index].push(entry);
    }

    /// The newest object of a name.
    fn uid_of(&self, wanted: &Identity) -> Option<String> {
        let mut named = self.record.lives.iter().rev().filter(|life| {
            life.group == wanted.group
                && life.plural == wanted.plural
                && life.namespace == wanted.namespace
                && life.name == wanted.name
        });
        named.next().map(|life| life.uid.clone())
    }

    fn record(self) -> Record {
        let mut record = self.record;
        for (life, entries) in record.lives.iter_mut().zip(self.entries) {
            life.changes = in_order(entries);
        }
        record.lives.retain(|life| !life.changes.is_empty());
        end_with_definitions(&mut record);
        record
    }
}

struct Identity {
    group: String,
    plural: String,
    namespace: String,
    name: String,
    uid: String,
}

/// The changes of one object in the order in which they happened: lines are written when answers are complete, so two of them
/// may be the wrong way round, and resource versions say which. A binding has none: even one whose line came before that of the
/// creation is later than it.
fn in_order(entries: Vec<Entry>) -> Vec<Change> {
    let mut version = 0;
    let mut keyed: Vec<(What, u64, Entry)> = entries
        .into_iter()
        .map(|entry| {
            if entry.change.version > 0 {
                version = entry.change.version;
            }
            (entry.change.what, version, entry)
        })
        .collect();
    keyed.sort_by_key(|(what, version, _)| (*what, *version));
    let mut changes: Vec<Change> = Vec::new();
    for (_, _, Entry { mut change, patch }) in keyed {
        let last = changes.last();
        if last.is_some_and(|last| {
            last.what == What::Deleted
                || (change.what != What::Deleted
                    && change.version > 0
                    && last.version == change.version)
        }) {
            // A second answer about the same deletion, or a write that changed nothing.
            continue;
        }
        if change.object.is_null() {
            change.object = last.map(|last| last.object.clone()).unwrap_or_default();
        }
        if let Some((field, value)) = patch {
            change.object["spec"][field] = value;
        }
        changes.push(change);
    }
    changes
}

/// Custom objects end with their definition, by kube-apiserver's own hand and not through its API.
fn end_with_definitions(record: &mut Record) {
    let ends: Vec<(Value, Value, Change)> = record
        .lives_of("apiextensions.k8s.io", "customresourcedefinitions")
        .filter_map(|life| {
            let spec = &life.last()["spec"];
            let mut end = life.deleted()?.clone();
            // They go one by one between the mark on the definition and its end.
            let marked = life
                .changes
                .iter()
                .find(|change| change.object["metadata"]["deletionTimestamp"].is_string());
            end.received = marked.map_or(end.received, |marked| marked.received);
            Some((spec["group"].clone(), spec["names"]["plural"].clone(), end))
        })
        .collect();
    for (group, plural, end) in ends {
        for life in record
            .lives
            .iter_mut()
            .filter(|life| group == life.group.as_str() && plural == life.plural.as_str())
        {
            if life.deleted().is_none() && life.changes[0].received < end.answered {
                let object = life.last().clone();
                life.changes.push(Change {
                    version: 0,
                    object,
                    ..end.clone()
                });
            }
        }
    }
}

fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}

fn version(object: &Value) -> u64 {
    object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

fn field(object: &Value, name: &str) -> String {
    object["metadata"][name]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn has_finalizers(plural: &str, object: &Value) -> bool {
    let some = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    some(&object["metadata"]["finalizers"])
        || (plural == "namespaces" && some(&object["spec"]["finalizers"]))
}

/// An object that is answered to a delete and stays for now: it waits for its finalizers or, pods, for its grace period.
fn is_pending(plural: &str, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let grace = metadata["deletionGracePeriodSeconds"]
        .as_u64()
        .unwrap_or_default();
    metadata["deletionTimestamp"].is_string() && (grace > 0 || has_finalizers(plural, object))
}

/// An object that is answered to a write which took the last reason away for which it stayed.
fn is_removed(plural: &str, object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string() && !is_pending(plural, object)
}

/// Whether an object that is deleted in a collection is there afterwards.
fn stays(plural: &str, object: &Value, grace: Option<u64>) -> bool {
    let finished = matches!(
        object.pointer("/status/phase").and_then(Value::as_str),
        Some("Succeeded" | "Failed")
    );
    let bound = object
        .pointer("/spec/nodeName")
        .and_then(Value::as_str)
        .is_some_and(|node| !node.is_empty());
    let grace = grace
        .or_else(|| {
            object
                .pointer("/spec/terminationGracePeriodSeconds")
                .and_then(Value::as_u64)
        })
        .unwrap_or(30);
    has_finalizers(plural, object) || (plural == "pods" && bound && !finished && grace > 0)
}
