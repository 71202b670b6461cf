//! What this process and its files have cost, as the kernel counts it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of one block as `stat` counts them.
const STAT_BLOCK_BYTES: u64 = 512;

/// Bytes that this process has caused to be written to storage. The kernel counts pages as they become dirty: a page
/// that is changed again before it is written counts once. 0 on a file system in memory.
pub fn bytes_written() -> Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// The most memory that this process has had resident, bytes.
pub fn peak_rss_bytes() -> Result<u64> {
    Ok(field("/proc/self/status", "VmHWM:")? << 10)
}

/// CPU time of all threads of this process.
pub fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// How often the threads of this process that bear a name have gone to sleep and come back.
pub fn wake_ups(thread: &str) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == thread {
            let status = task.join("status");
            sum += field(
                status.to_str().context("a path of the kernel")?,
                "voluntary_ctxt_switches:",
            )?;
        }
    }
    Ok(sum)
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("{path} has no {name}"))?;
    Ok(value.parse()?)
}

/// Bytes that the file system has allocated for all files below a folder.
pub fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            entry.metadata()?.blocks() * STAT_BLOCK_BYTES
        };
    }
    Ok(sum)
}
