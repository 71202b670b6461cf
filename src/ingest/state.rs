//! What the writer remembers between transactions. Everything here can be read back from the store, except lists that
//! are under way: those start again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::apply::{Packing, Sweep, Turning};
use super::known_owners::KnownOwners;
use super::known_rows::KnownRows;
use super::list_marks::ListMarks;
use crate::config::TracerConfig;
use crate::limits::{KNOWN_OBJECTS_MAX, KNOWN_PODS_MAX};
use crate::model::{EventKey, Gvk, Horizon, RedactionKey, Timestamp, Uid, WatchId};
use crate::store::headers::HeaderLog;
use crate::store::lookup::Lookup;
use crate::store::rows::{KindRow, ObjectRow, PodRow, WatchRow, WriterRow, identity_kind};
use crate::store::versions::BodyWriter;
use crate::store::{StoreError, Tables, read_kinds, read_watches, redaction_key};

/// What a change weighs besides its object: its rows in the tables and indexes, bytes.
const CHANGE_WEIGHT: u64 = 512;

/// The writer's memory.
#[derive(Debug)]
pub(super) struct WriterState {
    pub(super) row: WriterRow,
    pub(super) kinds: Kinds,
    pub(super) watches: BTreeMap<WatchId, Watch>,
    pub(super) config: TracerConfig,
    /// A search for lifecycles and owners that are not needed any more.
    pub(super) sweep: Option<Sweep>,
    pub(super) packing: Packing,
    pub(super) turning: Turning,
    /// The newest incarnations of names that live, with their ids, and with the hash of the last version, wherever that is
    /// stored.
    pub(super) objects: KnownRows<(u64, ObjectRow)>,
    /// Pods that are not gone, by UID, with their numbers.
    pub(super) pods: KnownRows<(u64, PodRow)>,
    pub(super) owners: KnownOwners,
    /// The store's; there is one from the first run on.
    pub(super) redaction_key: Option<RedactionKey>,
    pub(super) headers: HeaderLog,
    pub(super) bodies: BodyWriter,
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) row: WatchRow,
    pub(super) dirty: bool,
    /// UIDs that the list under way has shown so far.
    pub(super) list: ListMarks,
}

impl Watch {
    pub(super) fn new(row: WatchRow) -> Self {
        Self {
            row,
            dirty: false,
            list: ListMarks::default(),
        }
    }
}

/// Kinds and their numbers. Bounded by the configs that were ever in force.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    rows: BTreeMap<u64, KindRow>,
    numbers: HashMap<Gvk, u64>,
    dirty: BTreeSet<u64>,
}

impl WriterState {
    pub(super) fn load(tables: &impl Tables) -> Result<Self, StoreError> {
        let rows = read_kinds(tables.kinds())?;
        let numbers = rows
            .iter()
            .map(|(number, row)| (row.gvk(), *number))
            .collect();
        let watches = read_watches(tables.watches())?
            .into_iter()
            .map(|(watch, row)| (watch, Watch::new(row)));
        Ok(Self {
            row: tables.writer_row()?,
            kinds: Kinds {
                rows,
                numbers,
                dirty: BTreeSet::new(),
            },
            watches: watches.collect(),
            config: TracerConfig::default(),
            sweep: None,
            packing: Packing::default(),
            turning: Turning::default(),
            objects: KnownRows::new(KNOWN_OBJECTS_MAX),
            pods: KnownRows::new(KNOWN_PODS_MAX),
            owners: KnownOwners::default(),
            redaction_key: redaction_key(tables.meta())?,
            headers: HeaderLog::load(tables)?,
            bodies: BodyWriter::default(),
        })
    }

    /// What is in memory is durable now.
    pub(super) fn settle(&mut self) {
        for watch in self.watches.values_mut() {
            watch.list.settle();
        }
    }

    /// Takes back what a failed transaction did: everything is as it was `stored` by the last one, lists under way as
    /// they were then.
    pub(super) fn roll_back(&mut self, mut stored: Self) {
        for (id, watch) in &mut stored.watches {
            if let Some(known) = self.watches.get_mut(id) {
                watch.list = std::mem::take(&mut known.list);
                watch.list.roll_back();
            }
        }
        stored.config = std::mem::take(&mut self.config);
        stored.turning.pace = self.turning.pace;
        *self = stored;
    }

    /// Whether any list is under way.
    pub(super) fn is_listing(&self) -> bool {
        self.watches.values().any(|watch| watch.list.is_under_way())
    }

    /// The time to record for something that happened at `at`: never before anything recorded (R5).
    pub(super) fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.row.last_us = self.row.last_us.max(at.as_micros());
        Timestamp::from_micros(self.row.last_us)
    }

    /// Where the record ends: whatever comes lies behind it.
    pub(super) fn end(&self) -> Horizon {
        let at = Timestamp::from_micros(self.row.last_us);
        match self.row.last_seq {
            0 => Horizon::at(at),
            seq => Horizon::behind(EventKey { at, seq }),
        }
    }

    /// The place of the next change.
    pub(super) fn next_event(&mut self, at: Timestamp) -> EventKey {
        self.row.last_seq += 1;
        EventKey {
            at,
            seq: self.row.last_seq,
        }
    }

    /// Whether the config in force tracks a kind, in any version.
    pub(super) fn is_tracked(&self, group: &str, kind: &str) -> bool {
        self.config
            .tracked
            .keys()
            .any(|gvk| gvk.group == group && gvk.kind == kind)
    }
}

impl Kinds {
    /// The number of a kind, given out now if it is new.
    pub(super) fn number(&mut self, gvk: &Gvk) -> u64 {
        if let Some(number) = self.numbers.get(gvk) {
            return *number;
        }
        let number = self.rows.last_key_value().map_or(1, |(last, _)| last + 1);
        self.rows.insert(number, KindRow::new(gvk.clone()));
        self.numbers.insert(gvk.clone(), number);
        self.dirty.insert(number);
        number
    }

    /// The number that stands for a group and kind in the lists of what is alive; the kind has a number already.
    pub(super) fn identity(&self, group: &str, kind: &str) -> u32 {
        identity_kind(&self.rows, group, kind).unwrap_or_default()
    }

    /// The number of a kind's dictionary; 0 while it has none.
    pub(super) fn dictionary(&self, number: u64) -> u64 {
        self.rows.get(&number).map_or(0, |row| row.dictionary)
    }

    pub(super) fn count(&mut self, number: u64, update: impl FnOnce(&mut KindRow)) {
        if let Some(row) = self.rows.get_mut(&number) {
            update(row);
            self.dirty.insert(number);
        }
    }

    /// What the recorded changes weigh: bytes of their objects as MessagePack, and what a change costs besides.
    pub(super) fn weight(&self) -> u64 {
        let weigh = |row: &KindRow| {
            let changes = row.applies.saturating_add(row.deletes);
            row.body_bytes
                .saturating_add(changes.saturating_mul(CHANGE_WEIGHT))
        };
        self.rows.values().map(weigh).fold(0, u64::saturating_add)
    }

    /// The rows that changed since the last call.
    pub(super) fn take_dirty(&mut self) -> Vec<(u64, KindRow)> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .filter_map(|number| self.rows.get(&number).map(|row| (number, row.clone())))
            .collect()
    }
}

/// A UID as a list remembers it: 128 bits of its hash, enough that no two of a cluster meet.
pub(super) fn uid_mark(uid: &Uid) -> u128 {
    let mut mark = [0; 16];
    blake3::Hasher::new()
        .update(uid.0.as_bytes())
        .finalize_xof()
        .fill(&mut mark);
    u128::from_le_bytes(mark)
}
