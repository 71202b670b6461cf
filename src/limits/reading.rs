//! Readers: exports, states, histories.

/// How often a file is opened for reading again because a recorder has turned up on it meanwhile.
pub const READ_OPEN_TRIES_MAX: u32 = 10;
/// Page cache of a database opened for reading, bytes. One-pass scans are fastest with a small cache.
pub const READER_CACHE_BYTES: usize = 8 << 20;
/// Objects in one event of a trace, the first (the start state) excepted.
pub const TRACE_EVENT_OBJECTS_MAX: usize = 1_024;
/// Bytes of objects in one event of a trace, the first excepted.
pub const TRACE_EVENT_BYTES_MAX: usize = 4 << 20;
/// Greatest object id whose place in an export is kept in an array: 16 MiB of memory when it is reached.
pub const DENSE_DECISIONS_MAX: u64 = (64 << 20) - 1;
/// Memory of one ordered scratch set before it goes to a temporary file, bytes.
pub const SCRATCH_BYTES_MAX: usize = 6 << 20;
/// Sorted runs in the file of such a map; before another one is added, they are merged into one.
pub const SCRATCH_RUNS_MAX: usize = 8;
/// Page cache of the file of such a map, bytes. An export may have four of them.
pub const SCRATCH_CACHE_BYTES: usize = 3 << 20;
/// Longest life of one read transaction of an export's stream pass, milliseconds.
pub const READ_TXN_MS_MAX: u64 = 2_000;
/// How long an export of a file that another process writes keeps its first snapshot, seconds. It keeps the rows that the
/// other's retention drops meanwhile; the file may grow by as much as is written in that time.
pub const EXPORT_SNAPSHOT_SECONDS_MAX: u64 = 60;
/// Gaps listed in the summary of an export.
pub const GAPS_REPORTED_MAX: usize = 1_000;
/// Bytes of a trace that are encoded before they are written, in a process that does nothing else: what is decoded at once by
/// several threads.
pub const EXPORT_ALONE_SHEET_BYTES: usize = 2 << 20;
/// The same in a recorder, which may serve several exports at once.
pub const EXPORT_BESIDE_SHEET_BYTES: usize = 1 << 20;
/// Sheets of an export: one that is being filled, one that is being written, one between them.
pub const EXPORT_SHEETS: usize = 3;
/// Bytes that are written to an exported file at once. A multiple of every disk's block.
pub const FILE_SINK_BLOCK_BYTES: usize = 2 << 20;
/// Threads that plan one export, and then decode its bodies; and that read the state at a time.
pub const READ_THREADS: usize = 2;
/// Objects of one sheet up to which a second thread is not worth its start.
pub const EXPORT_HOLES_ALONE_MAX: usize = 64;
/// Memory of an export, in a process that does nothing else, and of the first of several in a recorder, for places in groups
/// of versions, bytes, of all decoders together: about a kilobyte for each object that changes.
pub const EXPORT_ALONE_CURSORS_BYTES_MAX: usize = 28 << 20;
/// The same of the other exports in a recorder.
pub const EXPORT_BESIDE_CURSORS_BYTES_MAX: usize = 8 << 20;
/// Memory of an export for bodies at such places, bytes, of all decoders together: where it has them all, each body is made
/// by one difference.
pub const EXPORT_BODIES_BYTES_MAX: usize = 4 << 20;
/// Memory for places in groups of versions, for each object of the start state that is read ahead, bytes: they take about a
/// fourth of it.
pub const EXPORT_AHEAD_BYTES: usize = 4 << 10;
/// Objects of the start state up to which nothing is read ahead: one sheet has most of them. Also how many are read ahead in
/// one snapshot.
pub const EXPORT_AHEAD_MIN: usize = 1_024;
/// Parts of a sheet, by object, of which each decoding thread takes one after the other: several for each, because they
/// are not equally much work.
pub const EXPORT_PARTS: usize = 4 * READ_THREADS;
/// Memory of the history of one object for its place in a group of versions, bytes. Larger groups are read anew for each
/// version.
pub const HISTORY_CURSORS_BYTES_MAX: usize = 1 << 20;
/// Objects up to which a second thread that reads them is not worth its start.
pub const READ_ALONE_MAX: usize = 32;
/// Versions of the state at a time that are read ahead, packed, bytes of memory; names come on top. Objects whose versions
/// take more than was expected are read one by one.
pub const STATE_VERSIONS_BYTES_MAX: usize = 10 << 20;
/// Objects of each kind that are read ahead at first: what comes before the first object of a state takes a few
/// milliseconds.
pub const STATE_OBJECTS_AHEAD_MIN: usize = 256;
/// Objects that are read ahead at most, about 300 bytes each for their names.
pub const STATE_OBJECTS_AHEAD_MAX: usize = 16_384;
/// Each time, so many times more objects of a kind are read ahead than before, until a bound is reached.
pub const STATE_AHEAD_GROWTH: usize = 4;
/// Bodies that are made at once of what was read ahead, bytes; a larger one is made alone.
pub const STATE_BODIES_BYTES_MAX: usize = 4 << 20;
/// Objects that are made at once of what was read ahead, at most.
pub const STATE_OBJECTS_MADE_MAX: usize = 4_096;
/// Names that are written to a temporary file at once when there are more of a kind than fit into memory, bytes.
pub const STATE_NAMES_SPILL_BYTES: usize = 1 << 20;
/// Objects whose names are looked up at once, 8 bytes each.
pub const STATE_NAMES_AT_ONCE_MAX: usize = 32_768;
/// Decoded bases that one decoder keeps, bytes.
pub const CURSOR_BASES_BYTES_MAX: usize = 4 << 20;
/// Pods whose lifecycles an export looks up at once, in the order in which they are packed: half a megabyte of numbers.
pub const EXPORT_PODS_AT_ONCE_MAX: usize = 65_536;
/// Owners visited from one object, and of those that it names itself: far above any real chain, and an end for hostile ones.
pub const ANCESTORS_MAX: usize = 64;
/// Lifecycles that wait in one thread of an export until the owners of all are looked up, about two hundred bytes each. One
/// whose pod has several owners counts as so many.
pub const EXPORT_LIFECYCLES_WAITING_MAX: usize = 16_384;
/// Objects that one thread of an export decides on at once, with owners in the order in which they are packed: about two
/// hundred bytes for each.
pub const EXPORT_OBJECTS_AT_ONCE_MAX: usize = 16_384;
