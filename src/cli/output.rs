//! How answers are printed.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::exit::usage;

/// Output formats, as kubectl names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document for each item, one a line.
    Json,
    /// A stream of YAML documents.
    Yaml,
}

/// Prints one item of a machine-readable answer: items go out one by one, so memory stays constant.
pub(super) fn print_item(
    out: &mut impl Write,
    format: Format,
    item: &impl Serialize,
) -> anyhow::Result<()> {
    match format {
        Format::Yaml => write!(out, "---\n{}", serde_saphyr::to_string(item)?)?,
        Format::Json | Format::Table => writeln!(out, "{}", serde_json::to_string(item)?)?,
    }
    Ok(())
}

/// Refuses to write a file to a terminal, which would change it on its way.
pub(super) fn refuse_terminal() -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        return Err(usage(
            "stdout is a terminal\nhint: redirect it to a file or a pipe (with `kubectl exec`: without -t), or give the path of a \
             file",
        ));
    }
    Ok(())
}

/// Bytes for people: `1.4 GiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or("TiB");
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{value:.1} {unit}")
    }
}
