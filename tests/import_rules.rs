//! Guards the shape of the source tree (docs/design.md): redb known outside of the store, or the Kubernetes client
//! outside of the watches, would spread until neither could be replaced or tested alone; a library that prints spoils
//! the output of whoever uses it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A name that only some folders or files may use.
struct Rule {
    /// The crate or macro, as a path begins with it.
    name: &'static str,
    is_macro: bool,
    allowed: &'static [&'static str],
}

const COMMAND_LINE: &[&str] = &["src/cli/", "src/main.rs"];

const RULES: &[Rule] = &[
    Rule {
        name: "redb",
        is_macro: false,
        allowed: &["src/store/", "migrations/"],
    },
    Rule {
        name: "kube",
        is_macro: false,
        allowed: &["src/watch/"],
    },
    Rule {
        name: "clap",
        is_macro: false,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "anyhow",
        is_macro: false,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "println",
        is_macro: true,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "eprintln",
        is_macro: true,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "print",
        is_macro: true,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "eprint",
        is_macro: true,
        allowed: COMMAND_LINE,
    },
    Rule {
        name: "dbg",
        is_macro: true,
        allowed: &[],
    },
];

impl Rule {
    /// Whether a line of code uses the name: as the first part of a path, or as a macro.
    fn is_used_in(&self, line: &str) -> bool {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        line.match_indices(self.name).any(|(at, name)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            if before.ends_with(word) {
                return false;
            }
            if self.is_macro {
                return after.starts_with('!');
            }
            let whole_import = ["use ", "extern crate "]
                .iter()
                .any(|import| before.trim_end_matches("::").ends_with(import))
                && !after.starts_with(word);
            // `self::kube::` and `crate::kube::` are rooms of our own.
            whole_import || (after.starts_with("::") && !before.ends_with("::"))
        })
    }
}

/// The code of a file with its line numbers: no comments, no texts, and nothing behind its test module.
fn code(source: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("mod tests {") || line.starts_with("pub(crate) mod tests {") {
            break;
        }
        if line.starts_with("//") {
            continue;
        }
        let without_texts: String = line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
        let line = without_texts.split(" //").next().unwrap_or("").to_owned();
        lines.push((number + 1, line));
    }
    lines
}

fn violations(path: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rule in RULES {
        if rule.allowed.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code(source) {
            if rule.is_used_in(&line) {
                found.push(format!(
                    "{path}:{number}: {} is not for here: {line}",
                    rule.name
                ));
            }
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_room_imports_only_what_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("migrations"), &mut files);
    let mut checked = 0;
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root).unwrap();
        // The reference encodings of tests may compare with whatever they like.
        if is_test(path) || path.ends_with("src/export/encode/sktrace/reference.rs") {
            continue;
        }
        checked += 1;
        found.extend(violations(
            path.to_str().unwrap(),
            &fs::read_to_string(&file).unwrap(),
        ));
    }
    assert!(checked > 50, "only {checked} files were looked at");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_checker_finds_what_is_planted_and_nothing_else() {
    let planted = [
        ("src/query/a.rs", "use redb::ReadableTable;"),
        ("src/query/a.rs", "    use redb;"),
        ("src/query/a.rs", "use ::redb::Table;"),
        ("src/ingest/a.rs", "fn f(txn: &redb::WriteTransaction) {}"),
        (
            "src/serve/a.rs",
            "let client = kube::Client::try_default();",
        ),
        ("src/store/a.rs", "pub use kube::Api;"),
        ("src/export/a.rs", "fn f() -> anyhow::Result<()> {"),
        ("src/export/a.rs", "#[derive(clap::Args)]"),
        ("src/import/a.rs", "    println!(\"{x}\");"),
        ("src/import/a.rs", "    eprint!(\"{x}\");"),
        ("src/cli/a.rs", "dbg!(x);"),
        ("migrations/a.rs", "use kube::Api;"),
    ];
    for (path, line) in planted {
        let source = format!("//! A room.\n\n{line}\n");
        let found = violations(path, &source);
        assert_eq!(found.len(), 1, "{path}: {line}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}:3: ")), "{found:?}");
    }
    let fine = [
        ("src/store/a.rs", "use redb::Table;"),
        ("migrations/mod.rs", "use redb::Database;"),
        ("src/watch/b/c.rs", "use kube::Api;"),
        ("src/cli/a.rs", "use anyhow::Context; use clap::Parser;"),
        ("src/main.rs", "println!(\"{}\", 1);"),
        (
            "src/query/a.rs",
            "/// As `redb::Table` does; see kube::Api.",
        ),
        ("src/query/a.rs", "let redb = 1; // redb::Table"),
        ("src/query/a.rs", "let text = \"redb::Table\";"),
        (
            "src/query/a.rs",
            "use crate::kube::x; use k8s_kube::y; use kube_core::z;",
        ),
        ("src/query/a.rs", "mod tests {\nuse redb::Table;"),
    ];
    for (path, line) in fine {
        assert_eq!(violations(path, line), [""; 0], "{path}: {line}");
    }
}
