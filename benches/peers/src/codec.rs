//! The codec of bodies alone, on one core, without any store: what recording and reading can do at most. Beside it, zstd of each body by
//! itself, and copying the bodies in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sk_tracedb::store::body::bench::{Codec, Encoded};

use crate::generate::{Wanted, generate};
use crate::interrupt;
use crate::line::{Figures, Line, Lines};
use crate::stream::Stream;

/// Bodies that are held in memory, bytes; what comes after them is left out.
const BODIES_BYTES_MAX: usize = 512 << 20;
/// Level of `zstd -3`.
const ZSTD_LEVEL: i32 = 3;

/// The bodies of one incarnation of an object, oldest first.
struct Versions {
    /// Number of its kind.
    kind: u64,
    bodies: Vec<Vec<u8>>,
}

/// Bodies as the codec gets them.
struct Bodies {
    objects: Vec<Versions>,
    changes: u64,
    bytes: usize,
}

/// How long one round took, and how large it made the bodies.
struct Round {
    encode: Duration,
    decode: Duration,
    bytes: usize,
}

/// Encodes and decodes the bodies of a workload so many times. Everything is decoded to what it was, or this fails.
pub fn measure(wanted: Wanted, runs: usize, folder: &Path) -> Result<Vec<Line>> {
    let folder = tempfile::tempdir_in(folder)?;
    eprintln!("{}: making {} changes", wanted.mix, wanted.changes);
    let stream = generate(wanted, &folder.path().join("stream"))?;
    let bodies = Bodies::read(&stream)?;
    let mut lines = Lines::new(&stream.workload, bodies.changes, stream.objects);
    for run in 1..=runs {
        eprintln!("run {run} of {runs}: the codec alone");
        for (subject, round) in [
            ("sk-tracedb", codec(&bodies)?),
            ("zstd-3-each-body", zstd(&bodies)?),
        ] {
            lines.add(subject, bodies.figures(&round));
        }
        let mut figures = Figures::default();
        let rate = bodies.rate(copy(&bodies)?);
        for metric in ["encode_mb_per_second", "decode_mb_per_second"] {
            figures.push("codec", metric, "MB/s", rate);
        }
        lines.add("memcpy", figures);
    }
    Ok(lines.into_lines())
}

impl Bodies {
    fn read(stream: &Stream) -> Result<Self> {
        let mut kinds: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut objects: BTreeMap<u64, Versions> = BTreeMap::new();
        let (mut changes, mut bytes) = (0, 0);
        for change in stream.batches()?.flat_map(|batch| match batch {
            Ok(batch) => batch.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }) {
            let change = change?;
            if bytes + change.body.len() > BODIES_BYTES_MAX {
                break;
            }
            changes += 1;
            if change.deleted {
                continue;
            }
            let next = kinds.len() as u64;
            let kind = *kinds.entry((change.group, change.kind)).or_insert(next);
            bytes += change.body.len();
            let versions = objects.entry(change.object).or_insert_with(|| Versions {
                kind,
                bodies: Vec::new(),
            });
            versions.bodies.push(change.body);
        }
        Ok(Self {
            objects: objects.into_values().collect(),
            changes,
            bytes,
        })
    }

    /// Megabytes of bodies a second.
    fn rate(&self, took: Duration) -> f64 {
        self.bytes as f64 / took.as_secs_f64() / 1e6
    }

    fn figures(&self, round: &Round) -> Figures {
        let mut figures = Figures::default();
        let mut push = |metric, unit, value| figures.push("codec", metric, unit, value);
        push("encode_mb_per_second", "MB/s", self.rate(round.encode));
        push("decode_mb_per_second", "MB/s", self.rate(round.decode));
        push("bytes", "bytes", round.bytes as f64);
        push(
            "messagepack_ratio",
            "ratio",
            self.bytes as f64 / round.bytes as f64,
        );
        figures
    }
}

fn codec(bodies: &Bodies) -> Result<Round> {
    let mut codec = Codec::default();
    // As the store does: the first bodies of a kind make its dictionary.
    for object in &bodies.objects {
        if let Some(first) = object.bodies.first() {
            codec.sample(object.kind, first);
        }
    }
    interrupt::check()?;
    let began = Instant::now();
    let encoded: Vec<Vec<Encoded>> = bodies
        .objects
        .iter()
        .map(|object| codec.encode(object.kind, &object.bodies))
        .collect();
    let encode = began.elapsed();
    let decoded = |each: &mut dyn FnMut(usize, &[u8])| -> Result<()> {
        for (number, (object, encoded)) in bodies.objects.iter().zip(&encoded).enumerate() {
            codec
                .decode(object.kind, encoded, |body| each(number, body))
                .context("a body cannot be decoded")?;
        }
        Ok(())
    };
    interrupt::check()?;
    let began = Instant::now();
    decoded(&mut |_, body| {
        std::hint::black_box(body);
    })?;
    let decode = began.elapsed();
    let mut expected: Vec<_> = bodies.objects.iter().map(|o| o.bodies.iter()).collect();
    let mut wrong = 0;
    decoded(&mut |number, body| {
        wrong += u64::from(expected[number].next().map(Vec::as_slice) != Some(body));
    })?;
    let missing: usize = expected.iter().map(ExactSizeIterator::len).sum();
    ensure!(
        (wrong, missing) == (0, 0),
        "{wrong} bodies are decoded to something else, and {missing} not at all"
    );
    let bytes = encoded.iter().flatten().map(Encoded::encoded_len).sum();
    Ok(Round {
        encode,
        decode,
        bytes,
    })
}

fn zstd(bodies: &Bodies) -> Result<Round> {
    let all = || bodies.objects.iter().flat_map(|object| &object.bodies);
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    let mut decompressor = zstd::bulk::Decompressor::new()?;
    interrupt::check()?;
    let began = Instant::now();
    let encoded = all()
        .map(|body| compressor.compress(body))
        .collect::<std::io::Result<Vec<_>>>()?;
    let encode = began.elapsed();
    interrupt::check()?;
    let began = Instant::now();
    for (body, encoded) in all().zip(&encoded) {
        let decoded = std::hint::black_box(decompressor.decompress(encoded, body.len())?);
        ensure!(decoded.len() == body.len(), "zstd has lost something");
    }
    Ok(Round {
        encode,
        decode: began.elapsed(),
        bytes: encoded.iter().map(Vec::len).sum(),
    })
}

/// Copies every body into memory that has been written before.
fn copy(bodies: &Bodies) -> Result<Duration> {
    interrupt::check()?;
    let all = || bodies.objects.iter().flat_map(|object| &object.bodies);
    let mut target = vec![1; all().map(Vec::len).max().unwrap_or(0)];
    let began = Instant::now();
    for body in all() {
        if let Some(target) = target.get_mut(..body.len()) {
            target.copy_from_slice(body);
        }
        std::hint::black_box(&target);
    }
    Ok(began.elapsed())
}
