//! One run of one subject: ingest, close, scan, and whether everything is there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::compressed;
use crate::digest::Digest;
use crate::line::Figures;
use crate::stream::Stream;
use crate::subject::{
    AppendOnlyFile, Fjall, Name, Scanned, SkTracedb, SqliteFull, SqliteNormal, Subject,
};
use crate::usage;

/// Runs a subject in an empty folder. CPU time, memory and bytes written are those of this process: run one subject in
/// each.
pub fn run(subject: Name, stream: &Stream, folder: &Path) -> Result<Figures> {
    match subject {
        Name::SkTracedb => run_one::<SkTracedb>(stream, folder),
        Name::SqliteFull => run_one::<SqliteFull>(stream, folder),
        Name::SqliteNormal => run_one::<SqliteNormal>(stream, folder),
        Name::Fjall => run_one::<Fjall>(stream, folder),
        Name::AppendOnlyFile => run_one::<AppendOnlyFile>(stream, folder),
    }
}

fn run_one<S: Subject>(stream: &Stream, folder: &Path) -> Result<Figures> {
    let mut figures = Figures::default();
    ingest::<S>(stream, folder, &mut figures)?;
    let started = Instant::now();
    let scanned = S::scan(folder, stream)?;
    tell_scan(&mut figures, None, &scanned, started.elapsed());
    if let Some((name, scanned, took)) = S::other_scan(folder, stream)? {
        tell_scan(&mut figures, Some(name), &scanned, took);
    }
    ensure_holds::<S>(folder, stream, &stream.digest)?;
    let names = S::names(folder, stream)?;
    ensure!(
        names.is_none_or(|names| names == stream.names),
        "the index by name has {names:?} rows instead of {}",
        stream.names
    );
    Ok(figures)
}

fn tell_scan(figures: &mut Figures, way: Option<&'static str>, scanned: &Scanned, took: Duration) {
    let seconds = took.as_secs_f64();
    for (metric, unit, value) in [
        ("rows_per_second", "rows/s", scanned.rows as f64 / seconds),
        (
            "megabytes_per_second",
            "MB/s",
            scanned.bytes as f64 / seconds / 1e6,
        ),
        ("rows", "rows", scanned.rows as f64),
    ] {
        figures.push_of(way, "stores-scan", metric, unit, value);
    }
}

/// Reads everything back and compares it with what the subject was given.
pub fn ensure_holds<S: Subject>(folder: &Path, stream: &Stream, given: &Digest) -> Result<()> {
    let mut digest = Digest::default();
    S::visit(folder, stream, &mut |row| {
        digest.add(&row);
        Ok(())
    })?;
    ensure!(
        digest == *given,
        "the subject does not hold what it was given: {digest:?} instead of {given:?}"
    );
    Ok(())
}

fn ingest<S: Subject>(stream: &Stream, folder: &Path, figures: &mut Figures) -> Result<()> {
    let written = usage::bytes_written()?;
    let cpu = usage::process_cpu();
    let mut reading_cpu = Duration::ZERO;
    let mut acknowledged = Vec::new();
    let mut working = Duration::ZERO;
    let mut store = S::create(folder, stream)?;
    let mut batches = stream.batches()?;
    loop {
        let cpu = usage::thread_cpu();
        let batch = batches.next().transpose()?.map(S::prepare);
        reading_cpu += usage::thread_cpu().saturating_sub(cpu);
        let Some(batch) = batch else { break };
        let started = Instant::now();
        store.append(&batch)?;
        acknowledged.push(started.elapsed());
        store.between()?;
        working += started.elapsed();
    }
    let started = Instant::now();
    store.close()?;
    let closing = started.elapsed();
    let cpu = usage::process_cpu()
        .saturating_sub(cpu)
        .saturating_sub(reading_cpu);
    let written = usage::bytes_written()?.saturating_sub(written);
    let raw = stream.digest.body_bytes as f64;
    acknowledged.sort();
    let mut push = |metric, unit, value| figures.push("stores-ingest", metric, unit, value);
    push(
        "changes_per_second",
        "changes/s",
        stream.changes as f64 / working.as_secs_f64(),
    );
    // What is left for later, and done before a store is closed.
    push(
        "until_closed_changes_per_second",
        "changes/s",
        stream.changes as f64 / (working + closing).as_secs_f64(),
    );
    push("ack_p50_ms", "ms", quantile_ms(&acknowledged, 50));
    push("ack_p99_ms", "ms", quantile_ms(&acknowledged, 99));
    push("ack_max_ms", "ms", quantile_ms(&acknowledged, 100));
    push("close_seconds", "s", closing.as_secs_f64());
    push("cpu_seconds", "s", cpu.as_secs_f64());
    push("bytes_written", "bytes", written as f64);
    push("write_amplification", "ratio", written as f64 / raw);
    push("peak_rss_bytes", "bytes", usage::peak_rss_bytes()? as f64);
    compressed::size(usage::disk_bytes(folder)?, stream.changes, figures);
    Ok(())
}

/// The value of sorted ones that so many of a hundred do not exceed, milliseconds; 0 of none.
pub fn quantile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    //! Guards the comparison: a subject that loses or changes rows must not get a figure.
    use super::*;
    use crate::change::{Change, Row};
    use crate::generate::{Wanted, generate};

    /// Wraps a store, and shows other rows than it was given.
    struct Forgetful<const LOST: u64, const CHANGED: u64>(AppendOnlyFile);

    impl<const LOST: u64, const CHANGED: u64> Subject for Forgetful<LOST, CHANGED> {
        type Batch = Vec<Change>;

        fn create(folder: &Path, stream: &Stream) -> Result<Self> {
            AppendOnlyFile::create(folder, stream).map(Self)
        }

        fn prepare(changes: Vec<Change>) -> Vec<Change> {
            changes
        }

        fn append(&mut self, batch: &Vec<Change>) -> Result<()> {
            let mut batch = batch.clone();
            batch.retain(|change| change.seq != LOST);
            for change in &mut batch {
                if change.seq == CHANGED {
                    change.body.push(0);
                }
            }
            self.0.append(&batch)
        }

        fn close(self) -> Result<()> {
            self.0.close()
        }

        fn visit(
            folder: &Path,
            stream: &Stream,
            each: &mut dyn FnMut(Row<'_>) -> Result<()>,
        ) -> Result<()> {
            AppendOnlyFile::visit(folder, stream, each)
        }

        fn names(folder: &Path, stream: &Stream) -> Result<Option<u64>> {
            AppendOnlyFile::names(folder, stream)
        }
    }

    #[test]
    fn a_run_fails_when_a_row_is_lost_or_differs() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            changes: 300,
            objects: 60,
            mix: sk_tracedb::workload::Mix::Mixed,
            batch: 64,
        };
        let stream = generate(wanted, &folder.path().join("stream")).unwrap();
        let again = generate(wanted, &folder.path().join("again")).unwrap();
        assert_eq!(stream.digest, again.digest, "equal for every subject");
        assert_eq!((stream.changes, stream.digest.rows), (300, 300));
        let run = |number: &str, run: fn(&Stream, &Path) -> Result<Figures>| {
            let folder = folder.path().join(number);
            std::fs::create_dir(&folder).unwrap();
            run(&stream, &folder)
        };
        let good = run("1", run_one::<Forgetful<0, 0>>).unwrap();
        let rows = good
            .0
            .iter()
            .find(|figure| figure.metric == "rows")
            .unwrap();
        assert_eq!(rows.value.round() as u64, 300);
        let lost = run("2", run_one::<Forgetful<7, 0>>).unwrap_err();
        let changed = run("3", run_one::<Forgetful<0, 7>>).unwrap_err();
        for error in [lost, changed] {
            assert!(error.to_string().contains("does not hold"), "{error}");
        }
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let at = |percent| quantile_ms(&values, percent).round() as u64;
        assert_eq!((at(50), at(99), at(100)), (100, 198, 200));
        assert_eq!(quantile_ms(&values[..1], 99).round() as u64, 1);
        assert_eq!(quantile_ms(&[], 99).to_bits(), 0);
    }
}
