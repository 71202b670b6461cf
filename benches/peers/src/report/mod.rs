//! From result lines to docs/benchmarks.md: `about` says where and how they were measured, `goals` what was to be reached,
//! `table` shows the subjects of each benchmark side by side.

mod about;
mod goals;
mod number;
mod table;
pub mod versions;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::line::Line;

pub use about::About;
pub use table::tables;

/// The subject that others are compared with.
const OURS: &str = "sk-tracedb";

/// What result files hold.
#[derive(Default)]
pub struct Results {
    /// Where and how.
    pub about: Vec<About>,
    /// The figures.
    pub lines: Vec<Line>,
}

/// A line of a result file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Line(Line),
    About(AboutLine),
}

#[derive(Deserialize)]
struct AboutLine {
    about: About,
}

impl Results {
    /// Reads result files; `-` is stdin.
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut results = Self::default();
        for file in files {
            let name = file.display().to_string();
            if name == "-" {
                results.read_lines(std::io::stdin().lock(), "stdin")?;
            } else {
                let open = std::fs::File::open(file).with_context(|| name.clone())?;
                results.read_lines(BufReader::new(open), &name)?;
            }
        }
        Ok(results)
    }

    /// Reads result lines.
    pub fn read_lines(&mut self, input: impl BufRead, name: &str) -> Result<()> {
        for (number, text) in (1..).zip(input.lines()) {
            let text = text.with_context(|| name.to_owned())?;
            if text.trim().is_empty() {
                continue;
            }
            let entry = serde_json::from_str(&text)
                .with_context(|| format!("{name}, line {number}: not a result line: {text}"))?;
            match entry {
                Entry::Line(line) => self.add(line)?,
                Entry::About(line) => self.about.push(line.about),
            }
        }
        Ok(())
    }

    fn add(&mut self, line: Line) -> Result<()> {
        let same = |other: &Line| {
            Scope::of(other) == Scope::of(&line)
                && other.subject == line.subject
                && other.metric == line.metric
        };
        if self.lines.iter().any(same) {
            bail!(
                "{} of {} in {} on {} is given twice: give the lines of one run only",
                line.metric,
                line.subject,
                line.benchmark,
                line.workload
            );
        }
        self.lines.push(line);
        Ok(())
    }

    /// The document.
    pub fn render(&self) -> String {
        let parts = [
            "# Benchmarks\n".to_owned(),
            about::render(&self.about),
            goals::render(&self.lines),
            tables(&self.lines),
        ];
        parts.join("\n")
    }
}

/// What figures must share to stand side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    benchmark: String,
    workload: String,
    changes: u64,
    objects: u64,
    pods: u64,
}

impl Scope {
    fn of(line: &Line) -> Self {
        Self {
            benchmark: line.benchmark.clone(),
            workload: line.workload.clone(),
            changes: line.changes,
            objects: line.objects,
            pods: line.pods,
        }
    }

    /// The workload and its sizes, where it has any.
    fn heading(&self) -> String {
        [self.workload.clone(), self.sizes()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ")
    }

    /// The sizes, in words.
    fn sizes(&self) -> String {
        let mut parts = Vec::new();
        for (count, name) in [
            (self.changes, "changes"),
            (self.objects, "objects"),
            (self.pods, "pods"),
        ] {
            if count > 0 {
                parts.push(format!("{} {name}", number::whole(count)));
            }
        }
        parts.join(", ")
    }
}

/// The scopes of the lines, in the order in which they come.
fn scopes(lines: &[Line]) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for line in lines {
        let scope = Scope::of(line);
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"benchmark":"b","workload":"w","changes":1,"objects":2,"subject":"s","metric":"m","unit":"u","runs":[1]}"#;

    #[test]
    fn lines_of_other_programs_are_read_and_anything_else_is_refused() {
        let pods = LINE.replace(r#""objects":2"#, r#""objects":2,"pods":3"#);
        let text = format!("{LINE}\n\n{pods}\n");
        let mut results = Results::default();
        results.read_lines(text.as_bytes(), "x").unwrap();
        assert_eq!(results.lines.len(), 2);
        assert_eq!(
            Scope::of(&results.lines[1]).sizes(),
            "1 changes, 2 objects, 3 pods"
        );
        let nothing = LINE.replace("1,", "0,").replace("2,", "0,");
        results.read_lines(nothing.as_bytes(), "x").unwrap();
        assert_eq!(Scope::of(&results.lines[2]).heading(), "w");
        let error = results.read_lines(&b"{}\n"[..], "x").unwrap_err();
        assert!(error.to_string().contains("x, line 1"), "{error}");
    }

    #[test]
    fn a_figure_that_is_given_twice_is_refused() {
        let mut results = Results::default();
        results.read_lines(LINE.as_bytes(), "x").unwrap();
        let error = results.read_lines(LINE.as_bytes(), "x").unwrap_err();
        assert!(error.to_string().contains("given twice"), "{error}");
    }

    #[test]
    fn the_document_of_nothing_says_that_nothing_was_measured() {
        let document = Results::default().render();
        assert!(document.contains("not measured"), "{document}");
        assert!(!document.contains("| reached"), "{document}");
    }
}
