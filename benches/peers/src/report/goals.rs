//! The numbers to reach, and whether they are reached.

mod definitions;

use std::fmt::Write;

use super::{Scope, number, scopes};
use crate::line::Line;

use definitions::GOALS;

/// A number to reach.
struct Goal {
    /// Number of the group of goals it belongs to.
    group: u32,
    /// What it is about.
    text: &'static str,
    /// What is measured.
    measure: Measure,
    /// Unit of the figure.
    unit: &'static str,
    /// What it has to be.
    bound: Bound,
    /// On which workloads: their names begin so.
    workload: &'static str,
    /// The size at which it has to be reached.
    size: Size,
}

/// A figure in the result lines.
#[derive(Clone, Copy)]
struct Source {
    benchmark: &'static str,
    subject: &'static str,
    metric: &'static str,
}

/// How a goal's figure comes from result lines.
enum Measure {
    /// It is there.
    Figure(Source),
    /// The first, as a multiple of the second.
    Ratio(Source, Source),
    /// The figure of the largest record, as a multiple of that of the smallest.
    Growth(Source),
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

/// How large a record is; 0: it does not matter.
#[derive(Clone, Copy)]
struct Size {
    changes: u64,
    pods: u64,
    /// Bytes of the file.
    file: f64,
}

/// What the size of a file is called in result lines.
const FILE_BYTES: &str = "file_bytes";

impl Bound {
    fn holds(&self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= *bound,
            Self::AtMost(bound) => value <= *bound,
            Self::Below(bound) => value < *bound,
        }
    }

    fn say(&self, unit: &str) -> String {
        let (words, bound) = match self {
            Self::AtLeast(bound) => ("at least", bound),
            Self::AtMost(bound) => ("at most", bound),
            Self::Below(bound) => ("below", bound),
        };
        let bound = match unit {
            "bytes" => number::figure(*bound, unit),
            "x" | "%" | "/s" => format!("{bound}{unit}"),
            "" => bound.to_string(),
            unit => format!("{bound} {unit}"),
        };
        format!("{words} {bound}")
    }
}

/// What was found about a goal.
struct Finding {
    median: f64,
    spread: (f64, f64),
    scope: Scope,
    /// Bytes of the file, where they are told.
    file: Option<f64>,
}

/// The table of goals.
pub fn render(lines: &[Line]) -> String {
    let mut text = String::from(
        "## Goals\n\nThe goals are about records of the size that is named; a figure of a smaller record says less, and is marked.\n\n\
         | | what | goal | figure | on | |\n|---|---|---|---|---|---|\n",
    );
    for goal in GOALS {
        let wanted = format!("{}{}", goal.bound.say(goal.unit), goal.size.say());
        let findings = goal.find(lines);
        if findings.is_empty() {
            let _ = writeln!(
                text,
                "| {} | {} | {wanted} | | | not measured |",
                goal.group, goal.text
            );
        }
        for finding in findings {
            let _ = writeln!(
                text,
                "| {} | {} | {wanted} | {} | {} | {} |",
                goal.group,
                goal.text,
                finding.figure(goal.unit),
                finding.on(goal.size),
                goal.verdict(&finding)
            );
        }
    }
    text
}

impl Size {
    fn say(self) -> String {
        let mut text = String::new();
        for (count, name) in [(self.changes, "changes"), (self.pods, "pods")] {
            if count > 0 {
                let _ = write!(text, " at {} {name}", number::whole(count));
            }
        }
        if self.file > 0.0 {
            let _ = write!(text, " at {}", number::figure(self.file, "bytes"));
        }
        text
    }
}

impl Finding {
    /// The record that it is about.
    fn on(&self, size: Size) -> String {
        let mut text = format!("{}: {}", self.scope.workload, self.scope.sizes());
        if let Some(file) = self.file.filter(|_| size.file > 0.0) {
            let _ = write!(text, ", {}", number::figure(file, "bytes"));
        }
        text
    }

    fn figure(&self, unit: &str) -> String {
        let figure = with_unit(self.median, unit);
        let (min, max) = (
            with_unit(self.spread.0, unit),
            with_unit(self.spread.1, unit),
        );
        if min == max {
            figure
        } else {
            format!("{figure} ({min}..{max})")
        }
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "bytes" => number::figure(value, unit),
        "x" | "%" | "/s" => format!("{}{unit}", number::plain(value)),
        "" => number::plain(value),
        unit => format!("{} {unit}", number::plain(value)),
    }
}

impl Goal {
    fn verdict(&self, finding: &Finding) -> String {
        let reached = if self.bound.holds(finding.median) {
            "reached"
        } else {
            "**not reached**"
        };
        let smaller = finding.scope.changes < self.size.changes
            || finding.scope.pods < self.size.pods
            || finding.file.unwrap_or(0.0) < self.size.file;
        if smaller {
            format!("{reached}, on a smaller record")
        } else {
            reached.to_owned()
        }
    }

    /// The figure of each workload, on the largest record that there is of it.
    fn find(&self, lines: &[Line]) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        let mut scopes: Vec<_> = scopes(lines)
            .into_iter()
            .filter(|scope| scope.workload.starts_with(self.workload))
            .collect();
        // Equally large ones stay in their order.
        scopes.sort_by_key(|scope| std::cmp::Reverse((scope.changes, scope.pods)));
        for scope in &scopes {
            if found
                .iter()
                .any(|finding| finding.scope.workload == scope.workload)
            {
                continue;
            }
            found.extend(self.measure.find(lines, scope, &scopes));
        }
        found
    }
}

impl Source {
    fn find<'a>(&self, lines: &'a [Line], scope: &Scope) -> Option<&'a Line> {
        lines.iter().find(|line| {
            scope.benchmark == self.benchmark
                && Scope::of(line) == *scope
                && line.subject == self.subject
                && line.metric == self.metric
        })
    }
}

impl Measure {
    /// The figure of a scope; `scopes` are all, the largest first.
    fn find(&self, lines: &[Line], scope: &Scope, scopes: &[Scope]) -> Option<Finding> {
        let (median, spread) = match self {
            Self::Figure(source) => {
                let line = source.find(lines, scope)?;
                (line.median()?, line.spread()?)
            }
            Self::Ratio(one, other) => {
                let other_scope = Scope {
                    benchmark: other.benchmark.to_owned(),
                    ..scope.clone()
                };
                ratio(one.find(lines, scope)?, other.find(lines, &other_scope)?)?
            }
            Self::Growth(source) => {
                let smallest = scopes.iter().rev().find(|other| {
                    other.workload == scope.workload && source.find(lines, other).is_some()
                })?;
                if smallest == scope {
                    return None;
                }
                ratio(source.find(lines, scope)?, source.find(lines, smallest)?)?
            }
        };
        Some(Finding {
            median,
            spread,
            scope: scope.clone(),
            file: self.subject_file(lines, scope),
        })
    }

    /// Bytes of the subject's file in that benchmark, where they are told.
    fn subject_file(&self, lines: &[Line], scope: &Scope) -> Option<f64> {
        let (Self::Figure(source) | Self::Ratio(source, _) | Self::Growth(source)) = self;
        let file = Source {
            metric: FILE_BYTES,
            ..*source
        };
        file.find(lines, scope)?.median()
    }
}

/// The ratio of the medians, and the smallest and largest ratio of runs that belong together. Runs of the same number were
/// taken one after the other.
fn ratio(one: &Line, other: &Line) -> Option<(f64, (f64, f64))> {
    let median = one.median()? / other.median()?;
    if !median.is_finite() {
        return None;
    }
    let mut spread = (median, median);
    if one.runs.len() == other.runs.len() {
        for (one, other) in one.runs.iter().zip(&other.runs) {
            let ratio = one / other;
            spread = (spread.0.min(ratio), spread.1.max(ratio));
        }
    }
    Some((median, spread))
}

#[cfg(test)]
mod tests {
    //! Guards against a goal that is said to be reached and is not.
    use super::*;

    fn line(benchmark: &str, subject: &str, metric: &str, changes: u64, runs: &[f64]) -> Line {
        Line {
            benchmark: benchmark.to_owned(),
            workload: "update-heavy".to_owned(),
            changes,
            objects: 50,
            pods: 0,
            subject: subject.to_owned(),
            metric: metric.to_owned(),
            unit: String::new(),
            runs: runs.to_vec(),
        }
    }

    const RATE: Source = Source {
        benchmark: "a",
        subject: "sk-tracedb",
        metric: "rate",
    };
    const PEER_RATE: Source = Source {
        subject: "peer",
        ..RATE
    };

    fn goal(measure: Measure, bound: Bound) -> Goal {
        Goal {
            group: 1,
            text: "it is fast",
            measure,
            unit: "x",
            bound,
            workload: "",
            size: Size {
                changes: 1_000,
                ..definitions::ANY
            },
        }
    }

    #[test]
    fn a_ratio_is_that_of_the_medians_on_the_largest_record() {
        let lines = [
            line("a", "sk-tracedb", "rate", 10, &[1.0]),
            line("a", "peer", "rate", 10, &[1.0]),
            line("a", "sk-tracedb", "rate", 1_000, &[30.0, 20.0, 40.0]),
            line("a", "peer", "rate", 1_000, &[10.0, 10.0, 20.0]),
        ];
        let goal = goal(Measure::Ratio(RATE, PEER_RATE), Bound::AtLeast(3.0));
        let found = goal.find(&lines);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].figure("x"), "3.00x (2.00x..3.00x)");
        assert_eq!(goal.verdict(&found[0]), "reached");
        let stricter = Goal {
            bound: Bound::AtLeast(3.1),
            ..goal
        };
        assert_eq!(stricter.verdict(&found[0]), "**not reached**");
    }

    #[test]
    fn bounds_are_exact() {
        assert!(Bound::AtMost(2.0).holds(2.0) && !Bound::AtMost(2.0).holds(2.1));
        assert!(Bound::AtLeast(2.0).holds(2.0) && !Bound::AtLeast(2.0).holds(1.9));
        assert!(Bound::Below(2.0).holds(1.9) && !Bound::Below(2.0).holds(2.0));
    }

    #[test]
    fn a_smaller_record_is_marked_and_a_missing_peer_is_not_measured() {
        let mut lines = vec![line("a", "sk-tracedb", "rate", 999, &[30.0])];
        let goal = goal(Measure::Ratio(RATE, PEER_RATE), Bound::AtLeast(3.0));
        assert!(goal.find(&lines).is_empty());
        lines.push(line("a", "peer", "rate", 998, &[10.0]));
        assert!(goal.find(&lines).is_empty(), "another size is no peer");
        lines.push(line("a", "peer", "rate", 999, &[10.0]));
        let found = goal.find(&lines);
        assert_eq!(goal.verdict(&found[0]), "reached, on a smaller record");
    }

    #[test]
    fn a_smaller_file_is_marked() {
        let mut lines = vec![line("a", "sk-tracedb", "rate", 10, &[3.0])];
        let goal = Goal {
            size: Size {
                file: 4_096.0,
                ..definitions::ANY
            },
            ..goal(Measure::Figure(RATE), Bound::AtLeast(3.0))
        };
        let verdict = |lines: &[Line]| goal.verdict(&goal.find(lines)[0]);
        assert_eq!(
            verdict(&lines),
            "reached, on a smaller record",
            "of no size"
        );
        lines.push(line("a", "sk-tracedb", FILE_BYTES, 10, &[4_096.0]));
        assert_eq!(verdict(&lines), "reached");
        assert!(goal.find(&lines)[0].on(goal.size).ends_with("4.00 KiB"));
        lines[1].runs = vec![4_095.0];
        assert_eq!(verdict(&lines), "reached, on a smaller record");
    }

    #[test]
    fn growth_needs_two_sizes() {
        let mut lines = vec![line("a", "sk-tracedb", "rate", 2_000, &[11.0])];
        let goal = goal(Measure::Growth(RATE), Bound::AtMost(1.1));
        assert!(goal.find(&lines).is_empty());
        lines.push(line("a", "sk-tracedb", "rate", 10, &[10.0]));
        let found = goal.find(&lines);
        assert_eq!(found[0].figure("x"), "1.10x");
        assert_eq!(goal.verdict(&found[0]), "reached");
    }

    #[test]
    fn every_workload_is_judged_by_itself() {
        let good = line("a", "sk-tracedb", "rate", 1_000, &[5.0]);
        let bad = Line {
            workload: "pod-churn".to_owned(),
            runs: vec![1.0],
            ..good.clone()
        };
        let lines = [good, bad];
        let goal = goal(Measure::Figure(RATE), Bound::AtLeast(2.0));
        let verdicts: Vec<_> = goal.find(&lines).iter().map(|f| goal.verdict(f)).collect();
        assert_eq!(verdicts, ["reached", "**not reached**"]);
        let only = Goal {
            workload: "update-heavy",
            ..goal
        };
        assert_eq!(only.find(&lines).len(), 1);
    }

    #[test]
    fn every_goal_is_listed_even_when_nothing_was_measured() {
        let text = render(&[]);
        let rows = text
            .lines()
            .filter(|line| line.ends_with("| not measured |"));
        assert_eq!(rows.count(), GOALS.len());
        for group in 1..=6 {
            assert!(text.contains(&format!("\n| {group} | ")), "{group}");
        }
    }
}
