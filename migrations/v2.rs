//! Schema version 2, as it was released: its tables, for reading. Nothing here changes any more.
//!
//! Its rows are those of version 3, which packs some of them besides.

use redb::TableDefinition;

pub(super) const EVENTS: TableDefinition<'static, &[u8; 16], &[u8]> =
    TableDefinition::new("event_to_headers");
pub(super) const VERSIONS: TableDefinition<'static, &[u8; 24], &[u8]> =
    TableDefinition::new("object_and_event_to_versions");
pub(super) const BASES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("base_to_body");
pub(super) const SIBLINGS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("owner_and_kind_to_sibling");
pub(super) const DICTIONARIES: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("dictionary_to_bytes");
pub(super) const OBJECTS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("object_to_row");
pub(super) const INCARNATIONS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("id_to_incarnation");
pub(super) const EPOCHS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("epoch_to_row");
pub(super) const ALIVE: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("epoch_and_object_to_unit");
pub(super) const ALIVE_PODS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("epoch_and_pod_to_unit");
pub(super) const OWNERS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("uid_to_owner");
pub(super) const WANTED: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("uid_to_wanted_owner");
pub(super) const PODS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("uid_to_pod");
pub(super) const RUNS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("run_to_row");
pub(super) const GAPS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("gap_to_row");
pub(super) const WATCHES: TableDefinition<'static, &str, &[u8]> =
    TableDefinition::new("kind_to_watch");
pub(super) const KINDS: TableDefinition<'static, u64, &[u8]> =
    TableDefinition::new("kind_id_to_kind");
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
