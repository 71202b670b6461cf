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

    /// The same with what another run has measured anew in place of its figures. Of what a benchmark measured of the same work,
    /// nothing earlier stays.
    pub fn renewed(mut self, mut anew: Self) -> Self {
        let renewed = scopes(&anew.lines);
        let labels: Vec<_> = renewed.iter().map(Scope::label).collect();
        for about in &mut anew.about {
            about.anew.clone_from(&labels);
        }
        self.about.retain_mut(|about| {
            let was_of_some = !about.anew.is_empty();
            about.anew.retain(|label| !labels.contains(label));
            !was_of_some || !about.anew.is_empty()
        });
        // They come where the earlier ones were.
        let place = |line: &Line| {
            let scope = Scope::of(line);
            self.lines
                .iter()
                .position(|earlier| Scope::of(earlier) == scope)
                .unwrap_or(self.lines.len())
        };
        let mut lines: Vec<_> = anew
            .lines
            .into_iter()
            .map(|line| (place(&line), line))
            .collect();
        let earlier = std::mem::take(&mut self.lines).into_iter().enumerate();
        lines.extend(earlier.filter(|(_, line)| !renewed.contains(&Scope::of(line))));
        lines.sort_by_key(|(place, _)| *place);
        self.lines = lines.into_iter().map(|(_, line)| line).collect();
        self.about.append(&mut anew.about);
        self
    }

    /// As a result file.
    pub fn to_lines(&self) -> serde_json::Result<String> {
        let about = self.about.iter().map(About::to_line);
        let lines = self.lines.iter().map(serde_json::to_string);
        about.chain(lines).map(|line| Ok(line? + "\n")).collect()
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

    /// The benchmark, and on what.
    fn label(&self) -> String {
        match self.heading() {
            heading if heading.is_empty() => format!("`{}`", self.benchmark),
            heading => format!("`{}` ({heading})", self.benchmark),
        }
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

    fn results(lines: &[(&str, f64)]) -> Results {
        let mut results = Results::default();
        let about = About::now(format!("{lines:?}"), Vec::new(), Vec::new());
        results.about.push(about);
        for (benchmark, figure) in lines {
            let mut line: Line = serde_json::from_str(LINE).unwrap();
            (line.benchmark, line.runs) = ((*benchmark).to_owned(), vec![*figure]);
            results.add(line).unwrap();
        }
        results
    }

    #[test]
    fn what_is_measured_anew_takes_the_place_of_its_figures_and_says_when() {
        let of = |results: &Results| -> Vec<_> {
            let lines = results.lines.iter();
            lines
                .map(|line| (line.benchmark.clone(), line.runs[0]))
                .collect()
        };
        let first = results(&[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
        let second = first.renewed(results(&[("b", 4.0), ("d", 5.0)]));
        let figures = [("a", 1.0), ("b", 4.0), ("c", 3.0), ("d", 5.0)];
        assert_eq!(
            of(&second),
            figures.map(|(name, figure)| (name.to_owned(), figure))
        );
        let anew = |results: &Results| -> Vec<_> {
            results.about.iter().map(|about| about.anew.len()).collect()
        };
        assert_eq!(anew(&second), [0, 2]);
        let label = "Measured anew since: `b` (w: 1 changes, 2 objects), `d` (";
        assert!(second.render().contains(label), "{}", second.render());
        // It is what its lines say.
        let mut read = Results::default();
        read.read_lines(second.to_lines().unwrap().as_bytes(), "x")
            .unwrap();
        assert_eq!((&read.about, of(&read)), (&second.about, of(&second)));
        // A run of which nothing is left is not named any more.
        let third = read.renewed(results(&[("d", 6.0)]));
        assert_eq!(anew(&third), [0, 1, 1]);
        let fourth = third.renewed(results(&[("b", 7.0), ("d", 8.0)]));
        assert_eq!(anew(&fourth), [0, 2]);
        assert_eq!(of(&fourth)[1], ("b".to_owned(), 7.0));
    }

    #[test]
    fn the_document_of_nothing_says_that_nothing_was_measured() {
        let document = Results::default().render();
        assert!(document.contains("not measured"), "{document}");
        assert!(!document.contains("| reached"), "{document}");
    }
}
