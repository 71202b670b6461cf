//! A table for each benchmark and workload: a row for each figure, a column for each subject.

use std::fmt::Write;

use super::{OURS, Scope, number, scopes};
use crate::line::Line;

/// The tables of all benchmarks, in the order in which the lines come.
pub fn tables(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut benchmark = String::new();
    for scope in scopes(lines) {
        if scope.benchmark != benchmark {
            benchmark.clone_from(&scope.benchmark);
            let _ = writeln!(text, "## {benchmark}\n");
        }
        let _ = writeln!(text, "{}: {}\n", scope.workload, scope.sizes());
        text.push_str(&table(lines, &scope));
        text.push('\n');
    }
    text
}

fn table(lines: &[Line], scope: &Scope) -> String {
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| Scope::of(line) == *scope)
        .collect();
    let (mut subjects, mut metrics): (Vec<&str>, Vec<(&str, &str)>) = (Vec::new(), Vec::new());
    for line in &lines {
        if !subjects.contains(&&*line.subject) {
            subjects.push(&line.subject);
        }
        if !metrics.contains(&(&*line.metric, &*line.unit)) {
            metrics.push((&line.metric, &line.unit));
        }
    }
    // Ours first, so that every other column can be read as a multiple of the first.
    subjects.sort_by_key(|subject| *subject != OURS);
    let mut text = format!("| | {} |\n|---|", subjects.join(" | "));
    text.push_str(&"---|".repeat(subjects.len()));
    text.push('\n');
    for (metric, unit) in metrics {
        let of = |subject: &str| {
            lines
                .iter()
                .find(|line| line.subject == subject && line.metric == metric)
        };
        let ours = of(OURS).and_then(|line| line.median());
        let cells: Vec<_> = subjects
            .iter()
            .map(|subject| of(subject).map_or_else(String::new, |line| cell(line, ours)))
            .collect();
        let _ = writeln!(text, "| {} | {} |", label(metric, unit), cells.join(" | "));
    }
    text
}

/// The name of a figure; the unit is left out where the name ends with it.
fn label(metric: &str, unit: &str) -> String {
    let words = metric.replace('_', " ");
    let said = match unit {
        "bytes" | "" | "ratio" => true,
        "ms" => words.ends_with(" ms") || words == "ms",
        "s" => words.ends_with("seconds"),
        _ => false,
    };
    if said || words == unit {
        words
    } else {
        format!("{words}, {unit}")
    }
}

/// Median (smallest..largest), and how many times ours that is.
fn cell(line: &Line, ours: Option<f64>) -> String {
    let Some(median) = line.median() else {
        return String::new();
    };
    let mut text = number::figure(median, &line.unit);
    if line.runs.len() > 1
        && let Some((min, max)) = line.spread()
        && min < max
    {
        let (min, max) = (
            number::figure(min, &line.unit),
            number::figure(max, &line.unit),
        );
        if min != max {
            let _ = write!(text, " ({min}..{max})");
        }
    }
    if line.subject != OURS
        && let Some(ours) = ours
        && ours > 0.0
    {
        let _ = write!(text, " = {}x", number::plain(median / ours));
    }
    text
}

#[cfg(test)]
mod tests {
    //! Guards against figures in the wrong column, and ratios of the wrong pair.
    use super::*;

    fn line(subject: &str, metric: &str, unit: &str, runs: &[f64]) -> Line {
        Line {
            benchmark: "ingest".to_owned(),
            workload: "mixed".to_owned(),
            changes: 1_000,
            objects: 50,
            pods: 0,
            subject: subject.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            runs: runs.to_vec(),
        }
    }

    #[test]
    fn subjects_stand_side_by_side_with_median_spread_and_ratio() {
        let lines = [
            line(
                "sqlite",
                "changes_per_second",
                "changes/s",
                &[50.0, 100.0, 90.0],
            ),
            line(
                "sk-tracedb",
                "changes_per_second",
                "changes/s",
                &[300.0, 360.0, 330.0],
            ),
            line("sk-tracedb", "disk", "bytes", &[2_048.0]),
        ];
        let expected = "\
## ingest

mixed: 1,000 changes, 50 objects

| | sk-tracedb | sqlite |
|---|---|---|
| changes per second, changes/s | 330 (300..360) | 90.0 (50.0..100) = 0.273x |
| disk | 2.00 KiB |  |

";
        assert_eq!(tables(&lines), expected);
    }

    #[test]
    fn other_sizes_are_another_table() {
        let small = line("sk-tracedb", "a", "ms", &[1.0]);
        let large = Line {
            changes: 2_000,
            ..small.clone()
        };
        let text = tables(&[small, large]);
        assert_eq!(text.matches("| | sk-tracedb |").count(), 2, "{text}");
        assert_eq!(text.matches("## ").count(), 1, "{text}");
    }

    #[test]
    fn without_our_figure_there_is_no_ratio() {
        let text = tables(&[line("sqlite", "a", "ms", &[1.0, 1.0])]);
        assert!(text.contains("| a, ms | 1.00 |"), "{text}");
        assert!(!text.contains("1.00 = "), "{text}");
    }
}
