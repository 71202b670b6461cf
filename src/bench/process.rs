//! What the system counts of this process. Linux tells it in `/proc`; where it does not, nothing is reported.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of the calling thread so far.
pub(super) fn thread_cpu() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

/// Processor time of this process so far.
pub(super) fn cpu() -> Duration {
    time_of(ClockId::ProcessCPUTime)
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The most resident memory that this process had since it began, or since [`forget_peak_rss`], bytes.
pub(super) fn peak_rss_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Resident memory of this process now, bytes.
pub(super) fn rss_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// How long this process's first thread has waited for a processor so far, while others had it: the noise in times that were taken
/// of it.
pub(super) fn cpu_wait() -> Option<Duration> {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let waited = schedule.split_whitespace().nth(1)?;
    Some(Duration::from_nanos(waited.parse().ok()?))
}

/// What a thread of this process has used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadUse {
    /// Processor time.
    pub(super) cpu: Duration,
    /// How often it went to sleep by itself, and so was woken.
    pub(super) wakeups: u64,
}

/// What the thread of this name has used; `None` where there is none, or the system does not tell.
pub(super) fn thread_use(name: &str) -> Option<ThreadUse> {
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let folder = task.ok()?.path();
        let read = |file: &str| std::fs::read_to_string(folder.join(file));
        // A thread may have ended meanwhile.
        if read("comm").is_ok_and(|found| found.trim_end() == name) {
            let schedule = read("schedstat").ok()?;
            let status = read("status").ok()?;
            let switches = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            return Some(ThreadUse {
                cpu: Duration::from_nanos(schedule.split(' ').next()?.parse().ok()?),
                wakeups: switches.trim().parse().ok()?,
            });
        }
    }
    None
}

/// Has the peak begin anew at what is resident now. Whether that worked: else the peak is that of the whole process.
pub(super) fn forget_peak_rss() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Bytes that this process has caused to be written to storage so far. Pages count when they become dirty; on file systems in
/// memory they do not count.
pub(super) fn storage_written_bytes() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    let rest = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes:"))?;
    rest.trim().parse().ok()
}
