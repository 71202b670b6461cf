//! How small bodies get, and how fast they are encoded and decoded, beside what else could be done with the same bytes
//! in the same run: `cargo bench --bench bodies --features bench [-- CHANGES OBJECTS]`.
//!
//! The first part records a workload into a file, closes it and compares what the file takes on disk, everything included, with the
//! objects as MessagePack. The second part runs the codec alone, on one core; medians of several rounds.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that meets what it did not expect fails by a panic"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use sk_tracedb::Store;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::model::RedactionKey;
use sk_tracedb::normalize::{Redaction, normalize};
use sk_tracedb::recorder::SimulatedRecorder;
use sk_tracedb::store::body::bench::Codec;
use sk_tracedb::workload::{Mix, Verb, Workload, WorkloadOptions};

const ROUNDS: usize = 5;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u64>().ok());
    let changes = numbers.next().unwrap_or(100_000);
    let objects = numbers.next().unwrap_or(3_000) as usize;
    for mix in [Mix::UpdateHeavy, Mix::PodChurn] {
        let options = WorkloadOptions {
            objects,
            changes,
            mix,
            ..WorkloadOptions::default()
        };
        println!("{mix}: {changes} steps, {objects} objects");
        whole_file(&options);
        codec(&options);
    }
}

fn whole_file(options: &WorkloadOptions) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.redb");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut workload = Workload::new(options.clone());
    let store = runtime.block_on(async {
        let store = Store::create(&path).unwrap();
        let recorder = SimulatedRecorder::start(store, &workload, "bench")
            .await
            .unwrap();
        while let Some(step) = workload.next() {
            recorder.step(step, &workload).await.unwrap();
        }
        recorder.stop().await.unwrap()
    });
    let info = store.reader().snapshot().unwrap().info().unwrap();
    store.close().unwrap();
    let on_disk = std::fs::metadata(&path).unwrap().blocks() * 512;
    let reader = sk_tracedb::Reader::open(&path).unwrap();
    let size = reader.snapshot().unwrap().size_on_disk().unwrap();
    let used: u64 = size
        .tables
        .iter()
        .map(|table| table.stored_bytes + table.overhead_bytes)
        .sum();
    println!(
        "  file: {} changes, {} bytes as MessagePack, {on_disk} on disk = 1/{:.1}; pages in use 1/{:.1}",
        info.changes,
        info.raw_bytes,
        info.raw_bytes as f64 / on_disk as f64,
        info.raw_bytes as f64 / used as f64,
    );
}

/// The number of an object's kind, and its versions.
type Versions = (u64, Vec<Vec<u8>>);

/// The versions of each object.
fn versions(options: &WorkloadOptions) -> Vec<Versions> {
    let workload = Workload::new(options.clone());
    let (config, _) = TracerConfig::parse(workload.config()).unwrap();
    let redaction = Redaction::new(RedactionKey::from_bytes([7; 32]), &config);
    let kinds: BTreeMap<_, u64> = config.tracked.keys().cloned().zip(0..).collect();
    let mut objects: BTreeMap<_, (Vec<_>, [u8; 32])> = BTreeMap::new();
    for step in workload {
        let Some(tracked) = config
            .tracked
            .get(&step.kind)
            .filter(|_| step.verb != Verb::Delete)
        else {
            continue;
        };
        let item = normalize(&step.kind, Some(tracked), &redaction, step.object).unwrap();
        let Some(object) = item.object else { continue };
        let (versions, hash) = objects
            .entry((kinds[&step.kind], object.uid.0))
            .or_default();
        if versions.is_empty() || *hash != object.change_hash {
            versions.push(object.body);
            *hash = object.change_hash;
        }
    }
    objects
        .into_iter()
        .map(|((kind, _), (versions, _))| (kind, versions))
        .collect()
}

/// MB/s of raw bytes: the median of some rounds.
fn rate(raw: usize, mut round: impl FnMut() -> usize) -> (f64, usize) {
    let mut rates = Vec::new();
    let mut result = 0;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        result = std::hint::black_box(round());
        rates.push(raw as f64 / started.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    (rates[ROUNDS / 2], result)
}

fn codec(options: &WorkloadOptions) {
    let objects = versions(options);
    let raw: usize = objects
        .iter()
        .flat_map(|(_, versions)| versions)
        .map(Vec::len)
        .sum();
    let mut codec = Codec::default();
    for (kind, versions) in &objects {
        codec.sample(*kind, &versions[0]);
    }
    let mut encoded = Vec::new();
    let (encode, _) = rate(raw, || {
        encoded = objects
            .iter()
            .map(|(kind, versions)| codec.encode(*kind, versions))
            .collect();
        encoded.len()
    });
    let small: usize = encoded
        .iter()
        .flatten()
        .map(|version| version.encoded_len())
        .sum();
    for ((kind, versions), encoded) in objects.iter().zip(&encoded) {
        let mut versions = versions.iter();
        codec
            .decode(*kind, encoded, |body| {
                assert_eq!(Some(body), versions.next().map(Vec::as_slice))
            })
            .unwrap();
        assert!(versions.next().is_none());
    }
    let (decode, _) = rate(raw, || {
        let mut bytes = 0;
        for ((kind, _), encoded) in objects.iter().zip(&encoded) {
            codec
                .decode(*kind, encoded, |body| bytes += body.len())
                .unwrap();
        }
        bytes
    });
    println!(
        "  codec:      1/{:<5.1} encode {encode:6.0} MB/s  decode {decode:6.0} MB/s",
        raw as f64 / small as f64
    );
    let (mut compressor, mut decompressor) = (zstd_safe::CCtx::create(), zstd_safe::DCtx::create());
    let mut rows = Vec::new();
    let (zstd_encode, zstd_len) = rate(raw, || {
        rows = objects
            .iter()
            .flat_map(|(_, versions)| versions)
            .map(|body| {
                let mut out = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
                compressor.compress(&mut out, body, 3).unwrap();
                (body.len(), out)
            })
            .collect();
        rows.iter().map(|(_, row)| row.len()).sum()
    });
    let (zstd_decode, _) = rate(raw, || {
        let mut decode = |(len, row): &(usize, Vec<u8>)| {
            let mut out = Vec::with_capacity(*len);
            decompressor.decompress(&mut out, row).unwrap();
            out.len()
        };
        rows.iter().map(&mut decode).sum()
    });
    println!(
        "  zstd -3:    1/{:<5.1} encode {zstd_encode:6.0} MB/s  decode {zstd_decode:6.0} MB/s",
        raw as f64 / zstd_len as f64
    );
    let (copy, _) = rate(raw, || {
        objects
            .iter()
            .flat_map(|(_, versions)| versions)
            .map(|body| std::hint::black_box(body.clone()).len())
            .sum()
    });
    println!("  copying:    1/1.0   {copy:6.0} MB/s");
}
