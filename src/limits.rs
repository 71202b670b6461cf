//! Every bound of this crate, with its unit, in one place.

/// Deepest nesting accepted in an object, a trace file or a config.
pub const NESTING_DEPTH_MAX: usize = 128;
/// Largest single object accepted, as MessagePack. etcd's own default limit is 1.5 MiB.
pub const OBJECT_BYTES_MAX: usize = 16 << 20;
/// Longest string accepted as a name, namespace, kind or UID. Kubernetes allows 253.
pub const NAME_BYTES_MAX: usize = 1024;

/// Observations that may wait between the watches and the writer.
pub const QUEUE_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes that may wait between the watches and the writer.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Observations in one write transaction.
pub const BATCH_OBSERVATIONS_MAX: usize = 4_096;
/// Bytes of bodies in one write transaction.
pub const BATCH_BYTES_MAX: usize = 16 << 20;
/// Longest time that an observation waits for others to share its commit, milliseconds.
pub const BATCH_AGE_MS_MAX: u64 = 60;
/// The same while few come, milliseconds: a commit costs twenty pages however few are in it.
pub const BATCH_AGE_MS_QUIET: u64 = 200;
/// Observations from which on a batch is no longer few.
pub const BATCH_OBSERVATIONS_QUIET: usize = 32;

/// How long the check of a copy may take before people are told of it, milliseconds.
pub const CHECK_UNTOLD_MS_MAX: u64 = 1_000;
/// How often a file is opened for reading again because a recorder has turned up on it meanwhile.
pub const READ_OPEN_TRIES_MAX: u32 = 10;
/// First wait before a write that the storage failed is tried again, milliseconds.
pub const WRITE_RETRY_MS_MIN: u64 = 500;
/// Longest wait before a write that the storage failed is tried again, milliseconds.
pub const WRITE_RETRY_MS_MAX: u64 = 15_000;
/// How often a paused writer looks whether it is told to stop, milliseconds.
pub const PAUSE_POLL_MS: u64 = 50;
/// How often a paused writer says so in the log, seconds.
pub const PAUSE_LOG_SECONDS: u64 = 60;
/// Size of the reserve file, which is given up when the disk is full, bytes. Deleting rows takes a fraction of it.
pub const RESERVE_BYTES: u64 = 4 << 20;
/// Time between two tries to make the reserve file again, seconds.
pub const RESERVE_RETRY_SECONDS: u64 = 60;

/// Page cache of the recorder's own database, bytes.
pub const WRITER_CACHE_BYTES: usize = 16 << 20;
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
/// Longest life of one read transaction of an export's stream pass, milliseconds.
pub const READ_TXN_MS_MAX: u64 = 2_000;
/// How long an export of a file that another process writes keeps its first snapshot, seconds. It keeps the rows that the
/// other's retention drops meanwhile; the file may grow by as much as is written in that time.
pub const EXPORT_SNAPSHOT_SECONDS_MAX: u64 = 60;

/// Pod specs whose hash a watch remembers, and as many older ones; about 200 bytes each.
pub const POD_SPECS_KNOWN_MAX: usize = 4_096;

/// Items of one page of a list.
pub const LIST_PAGE_ITEMS: u32 = 500;
/// Deadline for one page of a list, seconds.
pub const LIST_PAGE_SECONDS_MAX: u64 = 60;
/// Length of one watch request, seconds: below the 240 s at which some load balancers cut idle connections.
pub const WATCH_SECONDS: u32 = 200;
/// First wait after a failed request, milliseconds.
pub const BACKOFF_MS_MIN: u64 = 500;
/// Longest wait after failed requests, milliseconds.
pub const BACKOFF_MS_MAX: u64 = 60_000;
/// How often an undecodable watch event is asked for again before it is skipped, loudly.
pub const POISONED_EVENT_TRIES_MAX: u32 = 3;
/// Owner look-ups under way at once.
pub const OWNER_LOOKUPS_MAX: usize = 8;
/// Wanted owners of one kind above which one paged list replaces single look-ups.
pub const OWNER_LOOKUPS_BEFORE_LIST: usize = 64;

/// Rows of an epoch before a new one may begin (see `ingest::apply::epochs`).
pub const EPOCH_ROWS_MIN: u64 = 16_384;
/// How many times the rows that an epoch began with it has to hold before a new one begins.
pub const EPOCH_GROWTH: u64 = 3;
/// UIDs of owners that are touched while unused ones are looked for, above which the search begins anew.
pub const SWEEP_TOUCHED_MAX: usize = 65_536;
/// Gaps listed in the summary of an export.
pub const GAPS_REPORTED_MAX: usize = 1_000;

/// Longest kind (`group/version.Kind`) or name (`namespace/name`) accepted in a trace, and longest field name, bytes.
pub const TRACE_NAME_BYTES_MAX: usize = 4_096;
/// Values (map entries and array elements, at every depth) in one object of a trace. It bounds what an object costs in
/// memory, which can be far more than its bytes; etcd's default limit of 1.5 MiB leaves room for fewer.
pub const OBJECT_VALUES_MAX: usize = 1 << 20;
/// Buffer between a trace file and its reader, bytes.
pub const TRACE_READ_BUFFER_BYTES: usize = 64 << 10;

const _: () = assert!(
    TRACE_NAME_BYTES_MAX >= 3 * NAME_BYTES_MAX + 2,
    "group, version and kind of the greatest length must fit into a trace"
);

/// Largest tracer config accepted, bytes.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Aliases (`*name`) accepted in a tracer config.
pub const CONFIG_ALIASES_MAX: usize = 256;
/// YAML nodes accepted in a tracer config, and again as many for what its aliases expand to.
pub const CONFIG_NODES_MAX: usize = 16_384;
/// Deepest nesting accepted in a tracer config; the format needs four levels.
pub const CONFIG_DEPTH_MAX: usize = 16;
/// Longest label selector accepted in its text form (`app=web,tier!=db`), bytes.
pub const SELECTOR_BYTES_MAX: usize = 64 << 10;
/// Longest excerpt of a foreign text that an error message repeats, bytes.
pub const ERROR_EXCERPT_BYTES_MAX: usize = 256;

/// Lists that fetch or hand over a page at once; each holds at most one page.
pub const LISTS_MAX: usize = 4;
/// The same for kinds whose last page did not come in time: they wait for each other, not the others for them.
pub const LISTS_SLOW_MAX: usize = 2;
/// Largest answer to a list request, bytes of JSON. A larger one is asked for again with fewer items.
pub const LIST_PAGE_BYTES_MAX: usize = 32 << 20;
/// Memory of a page that is kept for a later page of the list while another is on its way, bytes.
pub const LIST_SPARE_BYTES_MAX: usize = 8 << 20;
/// How often one page of a list is asked for before the list is abandoned.
pub const LIST_PAGE_TRIES_MAX: u32 = 5;
/// Longest line of a watch, bytes of JSON: an object of [`OBJECT_BYTES_MAX`] and what normalizing drops.
pub const WATCH_LINE_BYTES_MAX: usize = 32 << 20;
/// Deadline for the answer to a watch request to begin, seconds.
pub const WATCH_OPEN_SECONDS_MAX: u64 = 30;
/// How long a watch may stay silent beyond the length that was asked for, seconds.
pub const WATCH_SLACK_SECONDS: u64 = 15;
/// Length of the first watch after a resume, seconds: API servers send a bookmark shortly before the end, which tells
/// early that a quiet kind has caught up. Doubled with every further one.
pub const CATCH_UP_WATCH_SECONDS: u32 = 10;
/// A watch that lasted for less than this and delivered nothing is a failure, seconds.
pub const WATCH_SECONDS_MIN: u32 = 20;
/// Watches in a row that end early without having delivered anything, before the watch counts as blind.
pub const EARLY_ENDS_BEFORE_BLIND: u32 = 3;
/// Longest wait that a server's Retry-After is followed for, seconds.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 120;
/// Deadline for a small request (discovery, the current version, kube-system), seconds.
pub const REQUEST_SECONDS_MAX: u64 = 30;
/// How much of a failed request's answer is read, bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 64 << 10;
/// Characters of a reason (of a failure, of a gap) that are kept.
pub const REASON_CHARS_MAX: usize = 300;
/// Largest list of the resources of a group version, bytes of JSON.
pub const DISCOVERY_BYTES_MAX: usize = 16 << 20;
/// Group versions whose resources are remembered.
pub const DISCOVERY_GROUPS_MAX: usize = 256;
/// How long owner look-ups believe what discovery said, seconds.
pub const DISCOVERY_AGE_SECONDS_MAX: u64 = 600;

/// Unknown owners asked of the store at once.
pub const OWNERS_WANTED_MAX: usize = 4_096;
/// Owners whose look-ups are remembered, for their backoff.
pub const OWNERS_ASKED_MAX: usize = 16_384;
/// Kinds of owners whose look-ups are remembered.
pub const OWNER_KINDS_MAX: usize = 256;
/// Owner look-ups of one kind under way at once: a kind that never answers leaves room for others.
pub const OWNER_LOOKUPS_PER_KIND_MAX: usize = 4;
/// Deadline for one owner look-up, seconds.
pub const OWNER_LOOKUP_SECONDS_MAX: u64 = 10;
/// Shortest time between two lists of one kind of owners, seconds.
pub const OWNER_LISTS_SECONDS_MIN: u64 = 60;
/// The same after a list in which most of what was looked for was found, seconds.
pub const OWNER_FRUITFUL_LISTS_SECONDS_MIN: u64 = 5;
/// First wait before an owner that was not found is looked for again, seconds.
pub const OWNER_GONE_SECONDS_MIN: u64 = 10;
/// Longest wait before an owner that was not found is looked for again, seconds.
pub const OWNER_GONE_SECONDS_MAX: u64 = 600;
/// Failures in a row after which a kind that was never listed no longer holds back readiness.
pub const READY_FAILURES_MIN: u32 = 5;

/// Largest body of a request over HTTP, bytes: Rocket's own limit for JSON, under which sk-tracer runs.
pub const HTTP_REQUEST_BYTES_MAX: usize = 1 << 20;

/// Largest head (request line and headers) of a request over HTTP, bytes.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest wait for the head of a request, from the moment the connection could carry one, seconds.
pub const HTTP_HEAD_SECONDS_MAX: u64 = 15;
/// Longest wait for the body of a request, seconds.
pub const HTTP_REQUEST_SECONDS_MAX: u64 = 30;
/// Longest time in which a client takes not one byte of what is ready for it, seconds.
pub const HTTP_STALL_SECONDS_MAX: u64 = 120;
/// Connections open at once; further ones wait in the system's backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 128;
/// First wait after the system gave no connection (out of file descriptors), milliseconds.
pub const HTTP_ACCEPT_RETRY_MS: u64 = 100;
/// Exports under way at once over HTTP.
pub const HTTP_EXPORTS_MAX: usize = 4;
/// When a client that was sent away should come again, seconds.
pub const HTTP_RETRY_AFTER_SECONDS: u64 = 10;
/// Warnings about one export in headers of its response.
pub const HTTP_WARNINGS_MAX: usize = 8;
/// Longest header value that carries a warning, bytes.
pub const HTTP_WARNING_BYTES_MAX: usize = 512;
/// One piece of a streamed export, bytes.
pub const EXPORT_CHUNK_BYTES: usize = 256 << 10;
/// Pieces of a streamed export that wait for the receiver.
pub const EXPORT_CHUNKS_QUEUED_MAX: usize = 4;

/// One part of an upload to an object store, bytes. S3 takes 10,000 of them, each of 5 MiB at least.
pub const STORAGE_PART_BYTES: usize = 8 << 20;
/// Parts of one upload under way at once.
pub const STORAGE_PARTS_UNDER_WAY_MAX: usize = 2;
/// How often a request to an object store is sent again.
pub const STORAGE_RETRIES_MAX: usize = 5;
/// How long after its first try a request to an object store may be sent again, seconds.
pub const STORAGE_RETRY_SECONDS_MAX: u64 = 60;
/// Longest wait for an object store to forget an unfinished upload, seconds.
pub const STORAGE_ABORT_SECONDS_MAX: u64 = 10;
const _: () = assert!(STORAGE_PART_BYTES >= 5 << 20 && STORAGE_PARTS_UNDER_WAY_MAX >= 1);
/// Bytes of a trace that are encoded before they are written, to a file: what is decoded at once by several threads.
pub const EXPORT_FILE_SHEET_BYTES: usize = 4 << 20;
/// The same to any other receiver: a recorder may serve several at once.
pub const EXPORT_STREAM_SHEET_BYTES: usize = 1 << 20;
/// Sheets of an export: one that is being filled, one that is being written, one between them.
pub const EXPORT_SHEETS: usize = 3;
/// Bytes that are written to an exported file at once. A multiple of every disk's block.
pub const FILE_SINK_BLOCK_BYTES: usize = 4 << 20;
/// Threads that plan one export, and then decode its bodies; and that read the state at a time.
pub const READ_THREADS: usize = 2;
/// Objects of one sheet up to which a second thread is not worth its start.
pub const EXPORT_HOLES_ALONE_MAX: usize = 64;
/// Memory of an export to a file for places in groups of versions, bytes, of all decoders together: about a kilobyte for
/// each object that changes.
pub const EXPORT_FILE_CURSORS_BYTES_MAX: usize = 40 << 20;
/// The same of an export to any other receiver.
pub const EXPORT_STREAM_CURSORS_BYTES_MAX: usize = 8 << 20;
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

/// Symbolic links that the path of an output may lead through: as many as Linux follows.
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// Time between two looks whether somebody has opened the FIFO that an output is written to, milliseconds.
pub const FIFO_POLL_MS: u64 = 20;
/// Rows between two reports of how far a copy or a check has come.
pub const PROGRESS_ROWS: u64 = 4_096;
/// Bytes of rows in one transaction of a backup.
pub const BACKUP_COMMIT_BYTES: usize = 32 << 20;
/// Page cache of the file that a backup writes, bytes.
pub const BACKUP_CACHE_BYTES: usize = 32 << 20;
/// Findings that one verification lists; more are counted.
pub const VERIFY_FINDINGS_MAX: usize = 1_000;
/// Longest leaf page that a salvage reads, bytes: a row of [`OBJECT_BYTES_MAX`] and its neighbours.
pub const SALVAGE_LEAF_BYTES_MAX: usize = 64 << 20;
/// Rows that a salvage writes in one transaction.
pub const SALVAGE_ROWS_PER_COMMIT: usize = 16_384;
/// Stretches of lost changes that a salvage lists; more are counted.
pub const SALVAGE_LOST_MAX: usize = 1_000;
/// Backups under way at once over HTTP: each takes the room of a copy.
pub const HTTP_BACKUPS_MAX: usize = 1;

/// How long the pages of a commit are kept for copies of the live file by default, seconds.
pub const COPY_GRACE_SECONDS: u64 = 60;
/// Longest copy grace, seconds: whatever is pinned so long makes the file grow.
pub const COPY_GRACE_SECONDS_MAX: u64 = 3_600;
/// Pins (read transactions) within one copy grace: a new one every grace / (this - 1), and not more often than
/// [`COPY_PIN_MS_MIN`].
pub const COPY_PINS_MAX: usize = 13;
/// Shortest time between two pins, milliseconds.
pub const COPY_PIN_MS_MIN: u64 = 100;
/// Longest time between two looks whether there is room for the pins, milliseconds.
pub const COPY_LOOK_MS_MAX: u64 = 1_000;
/// Free space of the volume below which pins are given up, bytes, and
pub const COPY_GRACE_FREE_BYTES_MIN: u64 = 512 << 20;
/// the share of the volume, in percent, below which they are given up too.
pub const COPY_GRACE_FREE_PERCENT_MIN: u64 = 2;
/// Growth of the file during the life of the oldest pin at which all pins are given up: so many times what it was then,
pub const COPY_GRACE_GROWTH_MAX: u64 = 1;
/// and this at least, bytes.
pub const COPY_GRACE_GROWTH_BYTES_MIN: u64 = 2 << 30;

/// Of what a store's file could grow to on its volume, how much it may take by default, percent.
pub const VOLUME_SHARE_PERCENT_MAX: u32 = 80;
/// Smallest size limit of a file, bytes: one batch and what commits need besides must fit.
pub const RETENTION_SIZE_BYTES_MIN: u64 = 16 << 20;
/// Room between a file that counts as full and its limit, bytes, at least and at most; else an eighth of the limit. It
/// takes what one batch writes before anything is dropped for it.
pub const SIZE_HEADROOM_BYTES_MIN: u64 = 4 << 20;
/// See [`SIZE_HEADROOM_BYTES_MIN`].
pub const SIZE_HEADROOM_BYTES_MAX: u64 = 1 << 30;
/// What a full file may have in use, percent: the rest is for rows that were dropped and whose chunks have not been made
/// anew, and for pages that are kept for copies.
pub const SIZE_USED_PERCENT: u32 = 70;
/// How long a file grows in its last room before it is cut at once, seconds: pins are given up before that.
pub const SIZE_GROWING_SECONDS: i64 = 15;
/// Time between two walks over a full store, seconds, at least, and
pub const SIZE_MEASURE_SECONDS_MIN: i64 = 30;
/// so many times what a walk takes.
pub const SIZE_MEASURE_SHARE: u32 = 50;
/// How long packing waits when the file begins to grow in its last room, seconds: more than the time between two looks at the
/// pins, up to a grace of a minute.
pub const PACKING_HELD_SECONDS: i64 = 10;
/// Rows dropped after which chunks are made anew for the room, at least.
pub const PACK_DROPPED_MIN: u64 = 256;
/// Files up to this size are measured at once, bytes: a walk over them takes less than a piece of retention may.
pub const SIZE_MEASURE_AT_ONCE_BYTES_MAX: u64 = 64 << 20;
/// Changes dropped after which chunks are made anew for the room: one in so many of what is kept.
pub const PACK_DROPPED_PARTS: u64 = 8;
/// What is kept whatever the size, seconds.
pub const SIZE_KEEPS_SECONDS_MIN: i64 = 60;
/// By size, the horizon moves at once by at most this part of what is kept, even where nothing changed.
pub const SIZE_STRIDES: i64 = 16;
/// Pieces that retention drops at once when the volume is full.
pub const ROOM_PIECES_MAX: usize = 16;
/// By age, the horizon moves in so many steps for the whole age ...
pub const AGE_STEPS: i64 = 64;
/// ... each of at most so many seconds.
pub const AGE_STEP_SECONDS_MAX: i64 = 60;
/// Time that retention works on one piece, milliseconds, its commit aside.
pub const RETENTION_WORK_MS_MAX: u64 = 10;
/// The same while the file is about to reach its limit, milliseconds.
pub const RETENTION_WORK_MS_PRESSED: u64 = 20;
/// Observations in one write transaction while the file is about to reach its limit, at most: no more than are dropped with
/// it,
pub const BATCH_OBSERVATIONS_PRESSED: usize = 1_024;
/// and at least.
pub const BATCH_OBSERVATIONS_PRESSED_MIN: usize = 64;
/// How long nothing must have come before a piece of retention gets a commit of its own, milliseconds.
pub const RETENTION_SILENCE_MS_MIN: u64 = 50;
/// Time that one piece of retention may hold back a commit, milliseconds: pieces that take longer become smaller.
pub const RETENTION_PIECE_MS_MAX: u64 = 40;
/// Rows that one piece of retention reads or drops, at least.
pub const RETENTION_ROWS_MIN: usize = 64;
/// Rows that one piece of retention reads or drops, at most: several times what a batch adds.
pub const RETENTION_ROWS_MAX: usize = 16_384;
/// Changes or rows that retention drops before it looks at the time, to begin with.
pub const RETENTION_STRIDE_ROWS: usize = 64;
/// Least part of a stride for which there must be time: less is left to the next piece.
pub const RETENTION_STRIDES_MIN: f64 = 0.25;
/// Memory of the marks of a sweep before they go to a temporary file, bytes: what is written to it at once takes a few
/// milliseconds.
pub const SWEEP_MARKS_BYTES_MAX: usize = 256 << 10;
/// Share of the writer's time that retention may take, percent.
pub const RETENTION_SHARE_PERCENT: u32 = 20;
/// The same while the file is about to reach its limit, percent.
pub const RETENTION_SHARE_PERCENT_PRESSED: u32 = 100;
/// How often a store is measured and cut until it fits into a size given by hand.
pub const SIZE_ROUNDS_MAX: u32 = 16;
/// Time whose unused share retention may take later, milliseconds.
pub const SHARE_MEMORY_MS: i64 = 1_000;
/// How often retention looks whether there is something to do, milliseconds.
pub const RETENTION_IDLE_MS: u64 = 1_000;
/// Unused lifecycles and owners are looked for when this part of all changes has been dropped since ...
pub const SWEEP_PARTS: u64 = 16;
/// ... and so many changes at least, or when the horizon has moved by this part of what is kept, and by so many seconds at
/// least.
pub const SWEEP_CHANGES_MIN: u64 = 4_096;
/// See [`SWEEP_CHANGES_MIN`].
pub const SWEEP_SECONDS_MIN: i64 = 60;

const _: () = assert!(
    RETENTION_WORK_MS_MAX <= RETENTION_WORK_MS_PRESSED
        && RETENTION_WORK_MS_PRESSED < RETENTION_PIECE_MS_MAX
        && RETENTION_PIECE_MS_MAX <= BATCH_AGE_MS_MAX
        && BATCH_OBSERVATIONS_PRESSED <= BATCH_OBSERVATIONS_MAX,
    "retention must not hold back a commit for longer than a batch waits"
);
/// Payload of one chunk of headers, bytes: with key, seal and page header it fills a page of 4 KiB.
pub const HEADER_CHUNK_BYTES: usize = 4_000;
/// Versions of an object in one group; reading one decodes those before it in the group.
pub const GROUP_VERSIONS_MAX: usize = 24;
/// Bytes of a group above which the next version begins a new one.
pub const GROUP_BYTES_MAX: usize = 1_500;
/// Largest keyframe inside a group, bytes; a larger one gets a row of its own, so that adding to the group stays cheap.
pub const KEYFRAME_INLINE_BYTES_MAX: usize = 1_024;
/// Bodies of a kind that a dictionary is trained from.
pub const DICTIONARY_SAMPLES: usize = 64;
/// How much of one body is a sample, bytes.
pub const DICTIONARY_SAMPLE_BYTES_MAX: usize = 8 << 10;
/// Size of a dictionary, bytes.
pub const DICTIONARY_BYTES: usize = (16 << 10) - 64;
/// Kinds for which samples are kept at once.
pub const DICTIONARY_KINDS_MAX: usize = 64;
/// Dictionaries held ready at once, for each direction.
pub const BODY_COMPRESSORS_MAX: usize = 64;
/// Size on disk up to which a store is compacted when it is closed, bytes: about a second.
pub const CLOSE_COMPACT_BYTES_MAX: u64 = 256 << 20;
/// Rows that a migration writes in one transaction.
pub const MIGRATION_BATCH_ROWS: usize = 4_096;

/// Size of the page that a chunk of packed rows fills, bytes: two of redb's. Larger ones compress
/// a little better, but redb's compaction leaves holes between them.
pub const PACKED_PAGE_BYTES: usize = 8 << 10;
/// Rows of one chunk before compression, bytes: it bounds what reading one row costs.
pub const PACKED_CHUNK_ROWS_BYTES_MAX: usize = 128 << 10;
/// Longest row that is packed, bytes.
pub const PACKED_ROW_BYTES_MAX: usize = 32 << 10;
/// Chunks that a transaction keeps decompressed for each table.
pub const PACKED_CHUNKS_CACHED_MAX: usize = 64;
/// Rows that packing moves before it looks at the time, bytes.
pub const PACKED_PIECE_BYTES_MAX: usize = 256 << 10;
/// Rows that packing looks at before it looks at the time.
pub const PACKING_STRIDE_ROWS: usize = 512;
/// Rows that one piece of packing looks at, at most.
pub const PACKING_ROWS_MAX: usize = 16_384;
/// Share of the writer's time that packing may take, percent.
pub const PACKING_SHARE_PERCENT: u32 = 20;
/// How long nothing is packed after the storage has failed, seconds.
pub const PACKING_RETRY_SECONDS: u64 = 60;
/// Changes after which it is seen what can be packed, at least.
pub const PACK_CHANGES_MIN: u64 = 8_192;
/// The same while a list is under way.
pub const PACK_CHANGES_LISTING: u64 = 524_288;
/// Bytes of packed rows that a pass may write anew for each change since the pass before it: four times what a change takes.
pub const PACK_REWRITTEN_BYTES_PER_CHANGE: u64 = 256;
/// Longest time that what can be packed is packed before a store is closed, seconds.
pub const PACKING_AT_CLOSE_SECONDS_MAX: u64 = 5;
/// Observations that a benchmark makes ahead of recording them.
pub const BENCH_AHEAD_OBSERVATIONS_MAX: usize = 32_768;
/// Bytes of the objects that a benchmark makes ahead of recording them.
pub const BENCH_AHEAD_BYTES_MAX: usize = 32 << 20;
/// Bytes that a benchmark copies at once in memory: beyond the processor's caches.
pub const BENCH_COPY_BYTES: usize = 64 << 20;
/// How often a benchmark looks whether it shall stop while another process works for it, milliseconds.
pub const BENCH_POLL_MS: u64 = 50;
/// Largest number of runs of one phase.
pub const BENCH_RUNS_MAX: usize = 1_000;
/// Objects of which the writer remembers where their last version stands: 200 bytes each.
pub const HEADS_MAX: usize = 32_768;
/// Last versions of objects that the writer remembers whole, bytes.
pub const HEAD_BODIES_BYTES_MAX: usize = 8 << 20;
/// Objects whose rows the writer remembers, 150 bytes each.
pub const KNOWN_OBJECTS_MAX: usize = 32_768;
/// Owners whose rows the writer remembers, 16 bytes each and as much again.
pub const KNOWN_OWNERS_MAX: usize = 65_536;
/// Pods whose lifecycles an export looks up at once, in the order in which they are packed: half a megabyte of numbers.
pub const EXPORT_PODS_AT_ONCE_MAX: usize = 65_536;
/// Lifecycles of which one thread of an export looks up the owners at once: half a kilobyte for each.
pub const EXPORT_LIFECYCLES_AT_ONCE_MAX: usize = 2_048;

/// Edits of the journal that are gathered in memory before a fold begins, bytes; the fold is done when as many have
/// gathered behind it.
pub const JOURNAL_FOLD_BYTES_MIN: usize = 16 << 20;
/// The same while a list is under way, bytes.
pub const JOURNAL_FOLD_BYTES_LISTING: usize = 8 << 20;
/// Edits of the journal in memory, bytes: with more, folding goes before recording.
pub const JOURNAL_MEMORY_BYTES_MAX: usize = 40 << 20;
/// Records of the journal in the file before they are folded, bytes.
pub const JOURNAL_STORED_BYTES_MAX: usize = 12 << 20;
/// The same where the file must stay small, bytes.
pub const JOURNAL_STORED_BYTES_MIN: usize = 512 << 10;
/// The part of a file's limit that the journal's records may take before they are folded: one in so many.
pub const JOURNAL_LIMIT_PARTS: u64 = 24;
/// Layers of edits that readers may leave behind before they are joined.
pub const JOURNAL_LAYERS_MAX: usize = 8;
/// How often a reader looks whether the writer has told what it committed, before it reads the journal itself.
pub const JOURNAL_READ_TRIES_MAX: u32 = 16;
/// Bytes of a record in one row of the journal: what fits into a page.
pub const JOURNAL_ROW_BYTES_MAX: usize = 4_000;
/// What is written as one record of the journal, bytes before compression; one edit more may be in it.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 4 << 20;
/// Rows of the journal that one piece of folding brings into their tables, at most.
pub const FOLDING_ROWS_MAX: usize = 16_384;
/// The same while a list is under way.
pub const FOLDING_ROWS_LISTING: usize = 65_536;
/// How long one piece of folding may take while a list is under way, the commit aside, milliseconds.
pub const LISTING_WORK_MS_MAX: u64 = 100;
/// How long the journal is not folded after the storage has failed, seconds; unless it is full.
pub const FOLDING_RETRY_SECONDS: u64 = 60;

/// Objects that one thread of an export decides on at once, with owners in the order in which they are packed: about
/// half a kilobyte for each.
pub const EXPORT_OBJECTS_AT_ONCE_MAX: usize = 4_096;
