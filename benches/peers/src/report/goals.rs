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
    /// The figure of a record, as a multiple of that of the largest record that has at most so many changes.
    Growth(Source, u64),
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    /// No number is asked for, only that it is compared.
    Any,
}

/// How large a record is; 0: it does not matter.
#[derive(Clone, Copy)]
struct Size {
    changes: u64,
    objects: u64,
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
            Self::Any => true,
        }
    }

    fn say(&self, unit: &str) -> String {
        let (words, bound) = match self {
            Self::AtLeast(bound) => ("at least", bound),
            Self::AtMost(bound) => ("at most", bound),
            Self::Below(bound) => ("below", bound),
            Self::Any => return "to be compared".to_owned(),
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
    /// Changes of the record that it is compared with, where that is another one.
    base_changes: Option<u64>,
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
        for (count, name) in [
            (self.changes, "changes"),
            (self.objects, "objects"),
            (self.pods, "pods"),
        ] {
            if count > 0 {
                let joint = if text.is_empty() { " at" } else { " and" };
                let _ = write!(text, "{joint} {} {name}", number::whole(count));
            }
        }
        if self.file > 0.0 {
            let _ = write!(text, " at {}", number::figure(self.file, "bytes"));
        }
        text
    }

    /// Whether a record is as large; files aside.
    fn is_reached_by(self, scope: &Scope) -> bool {
        scope.changes >= self.changes && scope.objects >= self.objects && scope.pods >= self.pods
    }

    /// Whether it asks for nothing that a [`Scope`] tells.
    fn is_any(self) -> bool {
        (self.changes, self.objects, self.pods) == (0, 0, 0)
    }
}

impl Finding {
    /// The record that it is about.
    fn on(&self, size: Size) -> String {
        let mut text = self.scope.heading();
        if let Some(file) = self.file.filter(|_| size.file > 0.0) {
            let _ = write!(text, ", {}", number::figure(file, "bytes"));
        }
        if let Some(changes) = self.base_changes {
            let _ = write!(text, ", against {} changes", number::whole(changes));
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
        let reached = if matches!(self.bound, Bound::Any) {
            "compared"
        } else if self.bound.holds(finding.median) {
            "reached"
        } else {
            "**not reached**"
        };
        let smaller = !self.size.is_reached_by(&finding.scope)
            || finding.file.unwrap_or(0.0) < self.size.file;
        if smaller {
            format!("{reached}, on a smaller record")
        } else {
            reached.to_owned()
        }
    }

    /// The figure of each workload: on the smallest record that is as large as is asked for; else, and where no size is asked for,
    /// on the largest one that there is.
    fn find(&self, lines: &[Line]) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        let mut scopes: Vec<_> = scopes(lines)
            .into_iter()
            .filter(|scope| scope.workload.starts_with(self.workload))
            .collect();
        // Equally large ones stay in their order.
        scopes.sort_by_key(|scope| std::cmp::Reverse((scope.changes, scope.pods)));
        let enough = |scope: &&Scope| !self.size.is_any() && self.size.is_reached_by(scope);
        let mut preferred: Vec<_> = scopes.iter().filter(enough).collect();
        preferred.sort_by_key(|scope| (scope.changes, scope.pods));
        for scope in preferred.into_iter().chain(&scopes) {
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
        let mut base_changes = None;
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
            Self::Growth(source, most) => {
                let base = scopes.iter().find(|other| {
                    other.workload == scope.workload
                        && other.changes <= *most
                        && source.find(lines, other).is_some()
                })?;
                if base.changes >= scope.changes {
                    return None;
                }
                base_changes = Some(base.changes);
                ratio(source.find(lines, scope)?, source.find(lines, base)?)?
            }
        };
        Some(Finding {
            median,
            spread,
            scope: scope.clone(),
            file: self.subject_file(lines, scope),
            base_changes,
        })
    }

    /// Bytes of the subject's file in that benchmark, where they are told.
    fn subject_file(&self, lines: &[Line], scope: &Scope) -> Option<f64> {
        let (Self::Figure(source) | Self::Ratio(source, _) | Self::Growth(source, _)) = self;
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
mod tests;
