//! product.md's rules of recording, in memory and without haste: every question is answered by going through all that
//! happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::model::{
    Gvk, Item, ObjectKey, Observation, OwnerFacts, OwnerRef, Timestamp, Uid, WatchId,
};

/// A recorded change.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: Timestamp,
    pub key: ObjectKey,
    pub uid: Uid,
    pub gvk: Gvk,
    /// The object after the change, and its hash; `None`: deleted.
    pub after: Option<(Value, u64)>,
    pub since: Option<Timestamp>,
    pub initial: bool,
}

#[derive(Clone, Debug)]
pub struct PodLife {
    pub name: (String, String),
    pub owners: Vec<OwnerRef>,
    pub hash: u64,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// What the last status says of its containers' end.
    containers_end: Option<Timestamp>,
    /// The end is what the containers said, so it is final.
    told: bool,
    gone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub kind: String,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

#[derive(Debug)]
struct Watch {
    contact: Timestamp,
    blind_since: Option<Timestamp>,
    /// Number of its open gap.
    gap: Option<usize>,
    listed: bool,
    tracked: bool,
    list: Option<BTreeSet<Uid>>,
}

/// Start, end, whether it was ended in good order, and the config of a run.
#[derive(Debug)]
pub struct Run {
    pub start: Timestamp,
    pub end: Timestamp,
    pub closed: bool,
    pub config: TracerConfig,
}

/// The record as the rules have it.
#[derive(Debug, Default)]
pub struct Record {
    now: Timestamp,
    pub runs: Vec<Run>,
    pub changes: Vec<Change>,
    pub pods: BTreeMap<Uid, PodLife>,
    pub gaps: Vec<Gap>,
    pub owners: BTreeMap<Uid, OwnerFacts>,
    watches: BTreeMap<WatchId, Watch>,
}

impl Record {
    /// R5: time never goes backwards.
    fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.now = if self.runs.is_empty() {
            at
        } else {
            self.now.max(at)
        };
        if let Some(run) = self.runs.last_mut() {
            run.end = self.now;
        }
        self.now
    }

    pub fn begin_run(&mut self, at: Timestamp, config: &TracerConfig) {
        let before = self.runs.last().map(|run| (run.end, run.closed));
        self.now = if self.runs.is_empty() {
            at
        } else {
            self.now.max(at)
        };
        debug_assert!(before.is_none_or(|(end, _)| end <= self.now));
        self.runs.push(Run {
            start: self.now,
            end: self.now,
            closed: false,
            config: config.clone(),
        });
        let mut wanted: BTreeSet<Gvk> = config.tracked.keys().cloned().collect();
        wanted.insert(Gvk::pod());
        let known: Vec<WatchId> = self.watches.keys().cloned().collect();
        for watch in known {
            // R10, R17: nothing was seen since the last contact, and of what is not tracked nothing will be.
            self.go_blind(&watch);
            let state = self.watches.get_mut(&watch).unwrap();
            state.tracked = wanted.contains(&watch);
            state.list = None;
        }
        for watch in wanted {
            self.watches.entry(watch).or_insert(Watch {
                contact: self.now,
                blind_since: None,
                gap: None,
                listed: false,
                tracked: true,
                list: None,
            });
        }
    }

    pub fn end_run(&mut self, at: Timestamp) {
        self.advance(at);
        self.runs.last_mut().unwrap().closed = true;
    }

    /// What is in the writer's memory only is gone with the process.
    pub fn crash(&mut self) {
        for watch in self.watches.values_mut() {
            watch.list = None;
        }
    }

    pub fn observe(&mut self, at: Timestamp, seen: &Observation) {
        let at = self.advance(at);
        match seen {
            Observation::ListStarted { watch } => {
                self.watches.get_mut(watch).unwrap().list = Some(BTreeSet::new());
            }
            Observation::Applied {
                watch,
                item,
                resource_version,
            } => {
                self.applied(at, watch, item);
                self.contact(at, watch, resource_version.is_some());
            }
            Observation::Deleted {
                watch,
                item,
                resource_version,
            } => {
                self.deleted(at, watch, item);
                self.contact(at, watch, resource_version.is_some());
            }
            Observation::Listed { watch, uid } => {
                if let Some(list) = &mut self.watches.get_mut(watch).unwrap().list {
                    list.insert(uid.clone());
                }
            }
            Observation::ListFinished { watch, .. } => self.list_finished(at, watch),
            Observation::Bookmark { watch, .. } => self.contact(at, watch, true),
            Observation::Blind { watch, .. } => {
                self.go_blind(watch);
                self.watches.get_mut(watch).unwrap().list = None;
            }
            Observation::Sighted { watch } => self.sighted(at, watch),
            Observation::Ended {
                watch,
                complete_until,
            } => {
                let watch = self.watches.get_mut(watch).unwrap();
                if watch.listed && watch.blind_since.is_none() {
                    // Back to when it was told to stop, which takes a second at most.
                    let least = Timestamp::from_micros(watch.contact.as_micros() - 1_000_000);
                    watch.contact = least.max(*complete_until);
                }
            }
            Observation::Owner { uid, facts } => {
                if let Some(facts) = facts {
                    self.owners.insert(uid.clone(), facts.clone());
                }
            }
        }
    }

    fn contact(&mut self, at: Timestamp, watch: &WatchId, versioned: bool) {
        let watch = self.watches.get_mut(watch).unwrap();
        if versioned && watch.blind_since.is_none() {
            watch.contact = at;
        }
    }

    fn go_blind(&mut self, watch: &WatchId) {
        let state = self.watches.get_mut(watch).unwrap();
        if state.gap.is_none() {
            let start = *state.blind_since.get_or_insert(state.contact);
            state.gap = Some(self.gaps.len());
            self.gaps.push(Gap {
                kind: watch.to_string(),
                start,
                end: None,
            });
        }
    }

    fn sighted(&mut self, at: Timestamp, watch: &WatchId) {
        let state = self.watches.get_mut(watch).unwrap();
        state.blind_since = None;
        state.contact = at;
        if let Some(gap) = state.gap.take() {
            self.gaps[gap].end = Some(at);
        }
    }

    /// R9: since when it may have happened, and whether the kind has never been listed completely.
    fn certainty(&self, watch: &WatchId) -> (Option<Timestamp>, bool) {
        let watch = &self.watches[watch];
        let listing = watch.list.is_some().then_some(watch.contact);
        (watch.blind_since.or(listing), !watch.listed)
    }

    /// The last change of a name.
    pub fn last(&self, key: &ObjectKey) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.key == *key)
    }

    fn live(&self, key: &ObjectKey) -> Option<&Change> {
        self.last(key).filter(|change| change.after.is_some())
    }

    fn delete(&mut self, at: Timestamp, key: &ObjectKey, since: Option<Timestamp>) {
        let Change { uid, gvk, .. } = self.live(key).unwrap().clone();
        self.changes.push(Change {
            at,
            key: key.clone(),
            uid,
            gvk,
            after: None,
            since,
            initial: false,
        });
    }

    fn applied(&mut self, at: Timestamp, watch: &WatchId, item: &Item) {
        let (since, initial) = self.certainty(watch);
        let since_of_presence = since.filter(|_| !initial);
        let mut uids = Vec::new();
        if let Some(object) = &item.object {
            uids.push(object.uid.clone());
            let gvk = Gvk::new(&*object.key.group, &*object.version, &*object.key.kind);
            let body: Value = rmp_serde::from_slice(&object.body).unwrap();
            // R6: in these tests the spec counts where there is one, else all but the status.
            let counts = |value: &Value| match value.get("spec") {
                Some(spec) => spec.clone(),
                None => {
                    let mut value = value.clone();
                    value.as_object_mut().unwrap().remove("status");
                    value
                }
            };
            let live = self.live(&object.key).cloned();
            let same = live.as_ref().is_some_and(|live| {
                live.uid == object.uid && counts(&live.after.as_ref().unwrap().0) == counts(&body)
            });
            if !same {
                if live.is_some_and(|live| live.uid != object.uid) {
                    self.delete(at, &object.key, since);
                }
                self.changes.push(Change {
                    at,
                    key: object.key.clone(),
                    uid: object.uid.clone(),
                    gvk: gvk.clone(),
                    after: Some((body, object.spec_hash)),
                    since: since_of_presence,
                    initial,
                });
            }
            let facts = OwnerFacts {
                gvk,
                namespace: object.key.namespace.clone(),
                name: object.key.name.clone(),
                owners: object.owners.clone(),
            };
            self.owners.insert(object.uid.clone(), facts);
        }
        if let Some(pod) = &item.pod {
            uids.push(pod.uid.clone());
            let name = (pod.namespace.clone(), pod.name.clone());
            if !self.pods.contains_key(&pod.uid) {
                // R1: two pods cannot bear one name.
                for other in self.pods.values_mut().filter(|other| other.name == name) {
                    other.over(at);
                }
            }
            let life = self
                .pods
                .entry(pod.uid.clone())
                .or_insert(PodLife::new(name, pod.spec_hash));
            life.owners.clone_from(&pod.owners);
            life.status(pod.times.start, pod.times.containers_end);
            if pod.times.terminal {
                life.end_at(at);
            }
        }
        if let Some(list) = &mut self.watches.get_mut(watch).unwrap().list {
            list.extend(uids);
        }
    }

    fn deleted(&mut self, at: Timestamp, watch: &WatchId, item: &Item) {
        let (since, _) = self.certainty(watch);
        if let Some(object) = &item.object
            && self
                .live(&object.key)
                .is_some_and(|live| live.uid == object.uid)
        {
            self.delete(at, &object.key, since);
        }
        if let Some(pod) = &item.pod {
            let name = (pod.namespace.clone(), pod.name.clone());
            let life = self
                .pods
                .entry(pod.uid.clone())
                .or_insert(PodLife::new(name, pod.spec_hash));
            life.owners.clone_from(&pod.owners);
            life.status(pod.times.start, pod.times.containers_end);
            life.over(at);
        }
    }

    /// R7, R9: what was not in a complete list is gone.
    fn list_finished(&mut self, at: Timestamp, watch: &WatchId) {
        let (since, _) = self.certainty(watch);
        let state = self.watches.get_mut(watch).unwrap();
        let Some(listed) = state.list.take() else {
            return;
        };
        state.listed = true;
        let names: BTreeSet<ObjectKey> = self
            .changes
            .iter()
            .map(|change| change.key.clone())
            .collect();
        let mut gone: Vec<(usize, ObjectKey)> = Vec::new();
        for key in names {
            let of_kind = key.group == watch.group && key.kind == watch.kind;
            if let Some(live) = self.live(&key)
                && of_kind
                && !listed.contains(&live.uid)
            {
                gone.push((self.appeared(&key), key));
            }
        }
        // In the order in which they appeared.
        gone.sort();
        for (_, key) in gone {
            self.delete(at, &key, since);
        }
        if watch.is_pod() {
            for (uid, life) in &mut self.pods {
                if !listed.contains(uid) {
                    life.over(at);
                }
            }
        }
        self.sighted(at, watch);
    }

    /// Where the last incarnation of a name begins.
    fn appeared(&self, key: &ObjectKey) -> usize {
        let changes = self.changes.iter().enumerate().rev();
        let mut of_name = changes.filter(|(_, change)| change.key == *key).peekable();
        let uid = of_name.peek().map(|(_, last)| last.uid.clone());
        let incarnation = of_name.take_while(|(_, change)| Some(&change.uid) == uid.as_ref());
        incarnation.last().map_or(0, |(at, _)| at)
    }

    /// What exists at a time.
    pub fn state_at(&self, at: Timestamp) -> BTreeMap<ObjectKey, &Change> {
        let mut state = BTreeMap::new();
        for change in self.changes.iter().take_while(|change| change.at <= at) {
            if change.after.is_some() {
                state.insert(change.key.clone(), change);
            } else {
                state.remove(&change.key);
            }
        }
        state
    }

    /// R12: everything above something with these owners, nearest first.
    pub fn ancestors(&self, owners: &[OwnerRef]) -> Vec<Uid> {
        let mut found: Vec<Uid> = Vec::new();
        let mut next: Vec<Uid> = owners.iter().map(|owner| owner.uid.clone()).collect();
        while !next.is_empty() {
            let uid = next.remove(0);
            if found.contains(&uid) {
                continue;
            }
            if let Some(facts) = self.owners.get(&uid) {
                next.extend(facts.owners.iter().map(|owner| owner.uid.clone()));
                found.push(uid);
            }
        }
        found
    }
}

impl PodLife {
    fn new(name: (String, String), hash: u64) -> Self {
        Self {
            name,
            owners: Vec::new(),
            hash,
            start: None,
            end: None,
            containers_end: None,
            told: false,
            gone: false,
        }
    }

    /// R14: the first start counts; an end that the containers told counts for good.
    fn status(&mut self, start: Option<Timestamp>, containers_end: Option<Timestamp>) {
        match (self.end, self.told, containers_end) {
            (None, ..) => {
                self.start = self.start.or(start);
                self.containers_end = containers_end;
            }
            (Some(_), false, Some(end)) => {
                self.start = self.start.or(start);
                self.told = true;
                self.end = Some(self.start.map_or(end, |start| end.max(start)));
            }
            (Some(_), ..) => {}
        }
    }

    fn end_at(&mut self, at: Timestamp) {
        if self.end.is_none() {
            self.told = self.containers_end.is_some();
            let end = self.containers_end.unwrap_or(at);
            self.end = Some(self.start.map_or(end, |start| end.max(start)));
        }
    }

    fn over(&mut self, at: Timestamp) {
        if !self.gone {
            self.gone = true;
            self.end_at(at);
        }
    }
}
