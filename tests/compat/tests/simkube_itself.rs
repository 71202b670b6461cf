//! The referee before the game: SimKube's own traces, vectors and types must satisfy the very checks that our files meet. A check
//! that SimKube's own output fails, or that never looks at anything, would prove nothing about ours.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;
use sk_tracedb_compat::pods::{self, Manner};
use sk_tracedb_compat::{fixtures, judged, referee, wire};

#[test]
fn the_vectors_are_simkubes_hashes() -> Result<()> {
    let Some(vectors) = fixtures::hash_vectors()? else {
        fixtures::skipped("hash vectors");
        return Ok(());
    };
    ensure!(vectors.len() >= 30, "{} vectors", vectors.len());
    for (value, hash) in vectors {
        assert_eq!(referee::json_hash(&value), hash, "{value}");
    }
    Ok(())
}

#[test]
fn the_hash_has_the_collisions_that_the_format_describes() {
    let same = |a, b| assert_eq!(referee::json_hash(&a), referee::json_hash(&b));
    same(json!({}), json!([]));
    same(json!(["a", "b"]), json!({"a": "b"}));
    same(json!(null), json!(0));
    same(json!(-1), json!(u64::MAX));
    assert_ne!(referee::json_hash(&json!(0)), referee::json_hash(&json!(1)));
    // Insertion order must not count: with serde_json's `preserve_order` it would.
    let (forth, back) = (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#);
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    assert_eq!(
        referee::json_hash(&parse(forth)),
        referee::json_hash(&parse(back))
    );
    assert!(parse(forth).is_object());
}

#[test]
fn recorded_traces_satisfy_our_checks() -> Result<()> {
    let Some(traces) = fixtures::traces()? else {
        fixtures::skipped("recorded traces");
        return Ok(());
    };
    let mut all_lifecycles = 0;
    for (name, bytes) in traces {
        assert_eq!(
            wire::field_names(&bytes)?,
            ["version", "config", "events", "index", "pod_lifecycles"],
            "{name}"
        );
        let trace = referee::import(&bytes)?;
        judged::check_replayable(&trace)?;
        let changes = judged::changes(&trace)?;
        let lifecycles = judged::lifecycles(&trace)?;
        ensure!(!changes.is_empty(), "{name}: nothing to compare");
        all_lifecycles += lifecycles.values().map(Vec::len).sum::<usize>();
        assert_eq!(
            judged::index(&trace)?,
            judged::last_spec_hashes(&trace)?,
            "{name}"
        );
        let (start, end) = judged::whole_range(&trace)?;
        ensure!(start < end, "{name}: {start}..{end}");
        let decoded = referee::decode(&trace.to_bytes()?)?;
        assert_eq!(judged::changes(&decoded)?, changes, "{name}");
        assert_eq!(judged::lifecycles(&decoded)?, lifecycles, "{name}");
    }
    ensure!(all_lifecycles > 0, "no trace has a lifecycle");
    Ok(())
}

#[test]
fn every_pod_field_is_generated_and_the_newer_ones_do_not_count() -> Result<()> {
    let schema = pods::schema()?;
    let ways = pods::ways()?;
    assert_eq!(
        ways.keys().collect::<Vec<_>>(),
        schema.keys().collect::<Vec<_>>(),
        "structs that no way leads to"
    );
    let mut seen = BTreeSet::new();
    let mut told_apart = 0;
    for manner in [Manner::Server, Manner::Rough] {
        for (name, way) in &ways {
            let mut runner = runner();
            let strategy = pods::spec_with(way, manner)?;
            for _ in 0..16 {
                let spec = sample(&strategy, &mut runner)?;
                pods::note_fields(&spec, &mut seen)?;
                let hash = referee::pod_spec_hash(&spec)?;
                let old = pods::without_newer_fields(&spec)?;
                assert_eq!(hash, referee::pod_spec_hash(&old)?, "{name}: {spec}");
                told_apart += usize::from(hash != referee::json_hash(&spec));
            }
        }
    }
    ensure!(
        told_apart > 1000,
        "SimKube changed only {told_apart} specs before hashing them"
    );
    let all = schema.iter().flat_map(|(name, fields)| {
        fields
            .keys()
            .map(move |field| (name.clone(), field.clone()))
    });
    let missing: Vec<_> = all.filter(|field| !seen.contains(field)).collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
    Ok(())
}

fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn sample<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> Result<S::Value> {
    let tree = strategy
        .new_tree(runner)
        .map_err(|reason| anyhow::anyhow!("{reason}"))?;
    Ok(tree.current())
}
