//! The built `sk-tracedb`, as its users run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Names the binary to test, instead of the ones in the repository's `target`.
pub const BINARY_VARIABLE: &str = "SK_TRACEDB_BIN";

/// The binary: `SK_TRACEDB_BIN`, else the release build, else the debug build.
pub fn path() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        anyhow::ensure!(
            path.is_file(),
            "{BINARY_VARIABLE} names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    for profile in ["release", "debug"] {
        let path = target.join(profile).join("sk-tracedb");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!(
        "there is no sk-tracedb to test in {}: run `cargo build --release` in the repository first, or name one in {BINARY_VARIABLE}",
        target.display()
    )
}

/// Runs `sk-tracedb` with these arguments and fails, with everything it said, unless it succeeds.
pub fn run<I, S>(arguments: I) -> Result<()>
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(path()?);
    command.args(arguments);
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\nstdout: {}\nstderr: {}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Records the synthetic cluster into `db` and returns the trace that the demo exported.
pub fn demo(db: &Path, out: &Path, seed: u64, objects: u32, changes: u32) -> Result<Vec<u8>> {
    let (seed, objects, changes) = (seed.to_string(), objects.to_string(), changes.to_string());
    run([
        "demo".as_ref(),
        "--seed".as_ref(),
        seed.as_ref(),
        "--objects".as_ref(),
        objects.as_ref(),
        "--changes".as_ref(),
        changes.as_ref(),
        "--db".as_ref(),
        db.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])?;
    std::fs::read(out).with_context(|| format!("the demo left no {}", out.display()))
}

/// Imports a trace file into a new database.
pub fn import(trace: &Path, db: &Path) -> Result<()> {
    run([
        "import".as_ref(),
        trace.as_os_str(),
        "--db".as_ref(),
        db.as_os_str(),
    ])
}

/// Exports [start, end), Unix seconds, and returns the trace.
pub fn export(db: &Path, start: i64, end: i64, out: &Path) -> Result<Vec<u8>> {
    let (start, end) = (start.to_string(), end.to_string());
    run([
        "export".as_ref(),
        "--db".as_ref(),
        db.as_os_str(),
        "--start".as_ref(),
        start.as_ref(),
        "--end".as_ref(),
        end.as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
    ])?;
    std::fs::read(out).with_context(|| format!("the export left no {}", out.display()))
}
