//! A table for each benchmark and workload: a row for each figure, a column for each subject.

use std::fmt::Write;

use super::{OURS, Scope, number, scopes};
use crate::line::Line;

/// The tables of all benchmarks, in the order in which the lines come.
pub fn tables(lines: &[Line]) -> String {
    let mut text = String::new();
    let scopes = scopes(lines);
    let mut benchmarks: Vec<&str> = Vec::new();
    for scope in &scopes {
        if !benchmarks.contains(&&*scope.benchmark) {
            benchmarks.push(&scope.benchmark);
        }
    }
    for benchmark in benchmarks {
        let _ = writeln!(text, "## {benchmark}\n");
        for scope in scopes.iter().filter(|scope| scope.benchmark == benchmark) {
            let _ = writeln!(text, "{}\n", scope.heading());
            text.push_str(&table(lines, scope));
            text.push('\n');
        }
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
    // Ours first, so that every other one can be read as a multiple of the first.
    subjects.sort_by_key(|subject| *subject != OURS);
    let of = |subject: &str, metric: &str| {
        lines
            .iter()
            .find(|line| line.subject == subject && line.metric == metric)
    };
    let cell = |subject: &str, metric: &str| {
        let ours = of(OURS, metric).and_then(|line| line.median());
        of(subject, metric).map_or_else(String::new, |line| cell(line, ours))
    };
    let labels = metrics.iter().map(|(metric, unit)| label(metric, unit));
    // The longer side goes down the page.
    let (heading, rows): (Vec<String>, Vec<Vec<String>>) = if subjects.len() > metrics.len() {
        let rows = subjects.iter().map(|subject| {
            let cells = metrics.iter().map(|(metric, _)| cell(subject, metric));
            std::iter::once((*subject).to_owned())
                .chain(cells)
                .collect()
        });
        (labels.collect(), rows.collect())
    } else {
        let rows = labels.zip(&metrics).map(|(label, (metric, _))| {
            let cells = subjects.iter().map(|subject| cell(subject, metric));
            std::iter::once(label).chain(cells).collect()
        });
        let heading = subjects.iter().map(|subject| (*subject).to_owned());
        (heading.collect(), rows.collect())
    };
    let mut text = format!("| | {} |\n|---|", heading.join(" | "));
    text.push_str(&"---|".repeat(heading.len()));
    text.push('\n');
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// The name of a figure; the unit is left out where the name says it.
fn label(metric: &str, unit: &str) -> String {
    let words = metric.replace('_', " ").replace("mb per", "MB per");
    let unit_words = unit.replace("/s", " per second").replace('/', " per ");
    let said = words.ends_with(&unit_words)
        || format!("{words} ").contains(&format!(" {unit} "))
        || match unit {
            "ratio" => true,
            unit if unit.starts_with("bytes") => true,
            "s" => words.ends_with("seconds"),
            "% of a core" => false,
            unit => unit.ends_with("/s") && words.ends_with("per second"),
        };
    if said {
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
| changes per second | 330 (300..360) | 90.0 (50.0..100) = 0.273x |
| disk | 2.00 KiB |  |

";
        assert_eq!(tables(&lines), expected);
    }

    #[test]
    fn many_subjects_go_down_the_page_and_a_benchmark_has_one_heading() {
        let mut lines = vec![
            line("sqlite", "bytes", "bytes", &[512.0]),
            line("sk-tracedb", "bytes", "bytes", &[256.0]),
        ];
        let expected =
            "| | bytes |\n|---|---|\n| sk-tracedb | 256 B |\n| sqlite | 512 B = 2.00x |\n";
        assert!(tables(&lines).contains(expected), "{}", tables(&lines));
        let scan = Line {
            benchmark: "scan".to_owned(),
            ..lines[0].clone()
        };
        let larger = Line {
            changes: 2_000,
            ..lines[0].clone()
        };
        lines.extend([scan, larger]);
        let text = tables(&lines);
        assert_eq!(text.matches("## ingest").count(), 1, "{text}");
        assert!(text.find("2,000 changes").unwrap() < text.find("## scan").unwrap());
    }

    #[test]
    fn a_unit_is_named_once() {
        for (metric, unit, expected) in [
            ("mb_per_second", "MB/s", "MB per second"),
            ("cpu_us_per_change", "us", "cpu us per change"),
            ("ack_p99_ms", "ms", "ack p99 ms"),
            ("ms", "ms", "ms"),
            ("close_seconds", "s", "close seconds"),
            ("cpu_percent", "% of a core", "cpu percent, % of a core"),
            ("context_switches", "1/s", "context switches, 1/s"),
            ("window_changes", "changes", "window changes"),
            ("seconds", "ms", "seconds, ms"),
        ] {
            assert_eq!(label(metric, unit), expected);
        }
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
