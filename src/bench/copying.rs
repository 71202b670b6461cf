//! The limits beside which exports stand: copying the same bytes from file to file, and in memory.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::worker::wait;
use super::{Audience, BenchError};
use crate::limits::BENCH_COPY_BYTES;

/// How long a copy took.
pub(super) struct Copied {
    /// Until everything had been handed to the file system.
    pub(super) unsynced: Duration,
    /// Until it was durable.
    pub(super) synced: Duration,
}

/// Copies a file with `cat`, and syncs the copy as an export does.
pub(super) fn cat(
    from: &Path,
    to: &Path,
    audience: &mut dyn Audience,
) -> Result<Copied, BenchError> {
    let failed = || BenchError::io(format!("{}: cannot be copied with cat", from.display()));
    let began = Instant::now();
    let copy = File::create(to).map_err(failed())?;
    let mut child = Command::new("cat")
        .arg(from)
        .stdin(Stdio::null())
        .stdout(copy.try_clone().map_err(failed())?)
        .process_group(0)
        .spawn()
        .map_err(failed())?;
    let status = wait(&mut child, "cat", audience)?;
    if !status.success() {
        return Err(failed()(std::io::Error::other(status.to_string())));
    }
    let unsynced = began.elapsed();
    copy.sync_all().map_err(failed())?;
    let synced = began.elapsed();
    let length = |path: &Path| {
        let found = std::fs::metadata(path).map_err(failed());
        found.map(|found| found.len())
    };
    BenchError::unless_equal("bytes copied by cat", length(from)?, length(to)?)?;
    Ok(Copied { unsynced, synced })
}

/// Copies the bytes of a file in memory, piece by piece, and says how long that took, reading the file aside. With a digest
/// of the bytes.
pub(super) fn memcpy(path: &Path) -> Result<(Duration, blake3::Hash), BenchError> {
    let failed = || BenchError::io(format!("{}: cannot be read", path.display()));
    let mut file = File::open(path).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    let piece = usize::try_from(length).map_or(BENCH_COPY_BYTES, |all| all.min(BENCH_COPY_BYTES));
    // Written once, so that the copies meet no page for the first time.
    let (mut source, mut target) = (vec![1; piece], vec![2; piece]);
    let (mut copying, mut hasher) = (Duration::ZERO, blake3::Hasher::new());
    loop {
        let mut read = 0;
        while let Some(rest) = source.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(failed())? {
                0 => break,
                count => read += count,
            }
        }
        let (Some(source), Some(target)) = (source.get(..read), target.get_mut(..read)) else {
            break;
        };
        if source.is_empty() {
            break;
        }
        let began = Instant::now();
        target.copy_from_slice(source);
        std::hint::black_box(&target);
        copying += began.elapsed();
        hasher.update(source);
    }
    Ok((copying, hasher.finalize()))
}
