//! `sk-tracedb verify`: what is wrong, and where.

use std::process::{Command, Output};

use serde_json::Value;

use crate::damage::{Random, damage};
use crate::load::closed;

fn verify(folder: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .arg("verify")
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn an_intact_store_is_said_to_be_so() {
    let (folder, _path) = closed(10);
    let output = verify(folder.path(), &["--db", "store.redb"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}");
    assert!(
        stdout.starts_with("store.redb: intact: every page"),
        "{stdout}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_damaged_store_ends_with_1_and_says_where() {
    let (folder, path) = closed(10);
    let mut random = Random(5);
    let damaged = folder.path().join("damaged.redb");
    let mut found = 0;
    for _ in 0..12 {
        std::fs::copy(&path, &damaged).unwrap();
        damage(&damaged, &mut random);
        let output = verify(folder.path(), &["--db", "damaged.redb", "--json"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => {}
            Some(1) if output.stdout.is_empty() => {
                assert!(stderr.contains("not a trace store"), "{stderr}");
            }
            Some(1) => {
                let report: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(report["intact"], false);
                assert!(!report["findings"].as_array().unwrap().is_empty());
                assert!(
                    stderr.contains("hint:") && !stderr.contains("panicked"),
                    "{stderr}"
                );
                found += 1;
            }
            other => panic!("{other:?}: {stderr}"),
        }
    }
    assert!(found > 0);
}
