//! `sk-tracedb bench`.

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
