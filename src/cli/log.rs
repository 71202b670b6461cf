//! Logs, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::exit::usage;

/// Writes logs to stderr from now on. `verbosity` is a level (`info`) or a filter (`info,sk_tracedb::watch=debug`).
///
/// # Errors
/// When it is neither.
pub(super) fn start(verbosity: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(verbosity).map_err(|error| {
        usage(format!(
            "--verbosity {verbosity:?}: {error}\nhint: try info, debug or trace"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}
