//! The books of a trace under way: which counts were given, and what they still ask for.

/// What has been promised and not yet written.
///
/// Each step gives the state after a call, or `None` where that call is not due.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Nothing has been written.
    Header,
    /// Between two events; `events` are to come.
    Events { events: u32 },
    /// Among an event's applied objects; `events` are to come after it.
    Applied { events: u32, objects: u32 },
    /// Among an event's deleted objects, of which at least one is to come.
    Deleted { events: u32, objects: u32 },
    /// In the index: entries of the current kind, and kinds after it.
    Index { kinds: u32, entries: u32 },
    /// Lifecycles of the current hash, hashes of the current owner after it, and owners after that.
    Lifecycles {
        owners: u32,
        hashes: u32,
        lifecycles: u32,
    },
    /// A call failed: the output is not a trace and will not become one.
    Failed,
}

impl State {
    pub(super) fn header(self, events: u32) -> Option<Self> {
        matches!(self, Self::Header).then_some(Self::Events { events })
    }

    pub(super) fn event_start(self, applied: u32) -> Option<Self> {
        let Self::Events { events } = self else {
            return None;
        };
        Some(Self::Applied {
            events: events.checked_sub(1)?,
            objects: applied,
        })
    }

    pub(super) fn object(self) -> Option<Self> {
        match self {
            Self::Applied { events, objects } => Some(Self::Applied {
                events,
                objects: objects.checked_sub(1)?,
            }),
            Self::Deleted { events, objects } => {
                Some(Self::deleted(events, objects.checked_sub(1)?))
            }
            _ => None,
        }
    }

    pub(super) fn deleted_start(self, deleted: u32) -> Option<Self> {
        match self {
            Self::Applied { events, objects: 0 } => Some(Self::deleted(events, deleted)),
            _ => None,
        }
    }

    /// With its last deleted object an event is over.
    fn deleted(events: u32, objects: u32) -> Self {
        match objects {
            0 => Self::Events { events },
            objects => Self::Deleted { events, objects },
        }
    }

    pub(super) fn index_start(self, kinds: u32) -> Option<Self> {
        matches!(self, Self::Events { events: 0 }).then_some(Self::Index { kinds, entries: 0 })
    }

    pub(super) fn index_kind(self, objects: u32) -> Option<Self> {
        let Self::Index { kinds, entries: 0 } = self else {
            return None;
        };
        Some(Self::Index {
            kinds: kinds.checked_sub(1)?,
            entries: objects,
        })
    }

    pub(super) fn index_entry(self) -> Option<Self> {
        let Self::Index { kinds, entries } = self else {
            return None;
        };
        Some(Self::Index {
            kinds,
            entries: entries.checked_sub(1)?,
        })
    }

    pub(super) fn lifecycles_start(self, owners: u32) -> Option<Self> {
        let Self::Index {
            kinds: 0,
            entries: 0,
        } = self
        else {
            return None;
        };
        Some(Self::Lifecycles {
            owners,
            hashes: 0,
            lifecycles: 0,
        })
    }

    pub(super) fn lifecycle_owner(self, hashes: u32) -> Option<Self> {
        let Self::Lifecycles {
            owners,
            hashes: 0,
            lifecycles: 0,
        } = self
        else {
            return None;
        };
        Some(Self::Lifecycles {
            owners: owners.checked_sub(1)?,
            hashes,
            lifecycles: 0,
        })
    }

    pub(super) fn lifecycle_hash(self, lifecycles: u32) -> Option<Self> {
        let Self::Lifecycles {
            owners,
            hashes,
            lifecycles: 0,
        } = self
        else {
            return None;
        };
        Some(Self::Lifecycles {
            owners,
            hashes: hashes.checked_sub(1)?,
            lifecycles,
        })
    }

    pub(super) fn lifecycle(self) -> Option<Self> {
        let Self::Lifecycles {
            owners,
            hashes,
            lifecycles,
        } = self
        else {
            return None;
        };
        Some(Self::Lifecycles {
            owners,
            hashes,
            lifecycles: lifecycles.checked_sub(1)?,
        })
    }

    /// Whether every count came true.
    pub(super) fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Lifecycles {
                owners: 0,
                hashes: 0,
                lifecycles: 0
            }
        )
    }

    /// The call that these counts ask for.
    pub(super) fn due(self) -> String {
        match self {
            Self::Header => "header".to_owned(),
            Self::Events { events: 0 } => "index_start".to_owned(),
            Self::Events { events } => format!("event_start ({events} to come)"),
            Self::Applied { objects: 0, .. } => "deleted_start".to_owned(),
            Self::Applied { objects, .. } => format!("object ({objects} applied to come)"),
            Self::Deleted { objects, .. } => format!("object ({objects} deleted to come)"),
            Self::Index {
                kinds: 0,
                entries: 0,
            } => "lifecycles_start".to_owned(),
            Self::Index { kinds, entries: 0 } => format!("index_kind ({kinds} to come)"),
            Self::Index { entries, .. } => format!("index_entry ({entries} to come)"),
            Self::Lifecycles {
                owners: 0,
                hashes: 0,
                lifecycles: 0,
            } => "finish".to_owned(),
            Self::Lifecycles {
                owners,
                hashes: 0,
                lifecycles: 0,
            } => format!("lifecycle_owner ({owners} to come)"),
            Self::Lifecycles {
                hashes,
                lifecycles: 0,
                ..
            } => format!("lifecycle_hash ({hashes} to come)"),
            Self::Lifecycles { lifecycles, .. } => format!("lifecycle ({lifecycles} to come)"),
            Self::Failed => "a new trace (this one failed)".to_owned(),
        }
    }
}
