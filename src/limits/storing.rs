//! Rows: bodies, packed parts, the journal.

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
/// What is in use of a store up to which it is compacted when it is closed, bytes: about a second for each 100 MB.
pub const CLOSE_COMPACT_BYTES_MAX: u64 = 256 << 20;
/// Size on disk up to which it is looked what is in use then, bytes: that reads the index pages, 10 ms for each 100 MB.
pub const CLOSE_MEASURE_BYTES_MAX: u64 = 2 << 30;
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
/// Memory of those, bytes of each table; a few are kept whatever they take.
pub const PACKED_CHUNKS_BYTES_MAX: usize = 4 << 20;
/// What the writer remembers of names and UIDs in chunks, bytes: two for each row.
pub const PACKED_PREFIXES_BYTES_MAX: usize = 4 << 20;
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
pub const PACKING_AT_CLOSE_SECONDS_MAX: u64 = 10;
/// Edits of the journal that are gathered in memory before a fold begins, bytes; the fold is done when as many have
/// gathered behind it.
pub const JOURNAL_FOLD_BYTES_MIN: usize = 16 << 20;
/// The same while a list is under way, bytes.
pub const JOURNAL_FOLD_BYTES_LISTING: usize = 8 << 20;
/// Edits of the journal in memory, bytes: with more, folding goes before recording.
pub const JOURNAL_MEMORY_BYTES_MAX: usize = 40 << 20;
/// Edits of the journal in memory that lie one behind the other, bytes; one that is longer is alone.
pub const JOURNAL_BLOCK_BYTES_MAX: usize = 4 << 10;
/// What room for more of them is made in, bytes.
pub const JOURNAL_BLOCK_STEP_BYTES: usize = 256;
/// Records of the journal in the file before they are folded, bytes.
pub const JOURNAL_STORED_BYTES_MAX: usize = 12 << 20;
/// The same where the file must stay small, bytes.
pub const JOURNAL_STORED_BYTES_MIN: usize = 512 << 10;
/// The part of a file's limit that the journal's records may take before they are folded: one in so many.
pub const JOURNAL_LIMIT_PARTS: u64 = 24;
/// Edits of a journal that is read that are put in the order of their keys at once, by each of two threads, bytes; one record
/// more may be among them.
pub const JOURNAL_GATHERED_BYTES_MAX: usize = 10 << 20;
/// Rows of a journal up to which it is read by one thread: a second one is not worth its start.
pub const JOURNAL_ROWS_ALONE_MAX: u64 = 128;
/// Layers of edits that readers may leave behind before they are joined.
pub const JOURNAL_LAYERS_MAX: usize = 8;
/// How often a reader looks whether the writer has told what it committed, before it reads the journal itself.
pub const JOURNAL_READ_TRIES_MAX: u32 = 16;
/// Bytes of a record in one row of the journal: what fits into a page.
pub const JOURNAL_ROW_BYTES_MAX: usize = 4_000;
/// What is written as one record of the journal, bytes before compression; one edit more may be in it.
pub const JOURNAL_RECORD_BYTES_MAX: usize = 4 << 20;
/// What the rows of records that are folded for the room may have more than their records, bytes, all of them together.
pub const FOLDING_FOR_ROOM_BYTES_MAX: usize = 256 << 10;
/// Rows of the journal that one piece of folding brings into their tables, at most.
pub const FOLDING_ROWS_MAX: usize = 16_384;
/// The same while a list is under way.
pub const FOLDING_ROWS_LISTING: usize = 65_536;
/// How long one piece of folding may take while a list is under way, the commit aside, milliseconds.
pub const LISTING_WORK_MS_MAX: u64 = 100;
/// How long the journal is not folded after the storage has failed, seconds; unless it is full.
pub const FOLDING_RETRY_SECONDS: u64 = 60;
