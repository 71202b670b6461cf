//! Data beside the checkout (`../shared/data`): traces that SimKube's own tracer recorded, and vectors of its hash. It is no part
//! of the project, so a test without it says that it is skipped.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// One JSON value and SimKube's hash of it.
#[derive(Debug, Deserialize)]
struct Vector {
    json: String,
    hash_u64: String,
}

/// A trace file: its name and its bytes.
pub type TraceFile = (String, Vec<u8>);

/// `../shared/data` seen from the repository, or nothing where it is absent.
#[must_use]
pub fn data_folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    folder.is_dir().then_some(folder)
}

/// The recorded traces, sorted by name. Nothing where the data is absent.
pub fn traces() -> Result<Option<Vec<TraceFile>>> {
    let Some(folder) = data_folder() else {
        return Ok(None);
    };
    let mut traces = Vec::new();
    for entry in std::fs::read_dir(folder.join("traces"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sktrace")
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            traces.push((name, std::fs::read(&path)?));
        }
    }
    traces.sort();
    anyhow::ensure!(
        !traces.is_empty(),
        "the data folder is there and holds no trace"
    );
    Ok(Some(traces))
}

/// JSON values with SimKube's hash of each. Nothing where the data is absent.
pub fn hash_vectors() -> Result<Option<Vec<(Value, u64)>>> {
    let Some(folder) = data_folder() else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(folder.join("simkube-hash-vectors.json"))?;
    let vectors: Vec<Vector> = serde_json::from_str(&text)?;
    let parse = |vector: &Vector| -> Result<(Value, u64)> {
        let value = serde_json::from_str(&vector.json).with_context(|| vector.json.clone())?;
        Ok((value, vector.hash_u64.parse()?))
    };
    vectors
        .iter()
        .map(parse)
        .collect::<Result<Vec<_>>>()
        .map(Some)
}

/// Says that a test does not run here, and why.
pub fn skipped(what: &str) {
    println!("SKIPPED: {what}: ../shared/data is absent beside the checkout");
}
