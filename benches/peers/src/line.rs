//! Result lines: the one form in which every benchmark program of this project prints what it has measured, one JSON object a
//! line.

use serde::{Deserialize, Serialize};

/// One figure of one subject, measured in several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What was done.
    pub benchmark: String,
    /// On which mix of the workload.
    pub workload: String,
    /// Changes in the record.
    pub changes: u64,
    /// Objects that exist at a time, about.
    pub objects: u64,
    /// Pods that exist at the start, where that is what is measured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pods: u64,
    /// Who did it.
    pub subject: String,
    /// What was measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// The figure of every run.
    pub runs: Vec<f64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Line {
    /// The figure in the middle; the mean of the two in the middle where their number is even. `None` without runs.
    pub fn median(&self) -> Option<f64> {
        let mut runs = self.runs.clone();
        runs.sort_by(f64::total_cmp);
        let middle = runs.len() / 2;
        let upper = *runs.get(middle)?;
        if runs.len() % 2 == 1 {
            return Some(upper);
        }
        Some((runs.get(middle.checked_sub(1)?)? + upper) / 2.0)
    }

    /// The smallest and the largest figure.
    pub fn spread(&self) -> Option<(f64, f64)> {
        let min = self.runs.iter().copied().min_by(f64::total_cmp)?;
        let max = self.runs.iter().copied().max_by(f64::total_cmp)?;
        Some((min, max))
    }
}

/// The figures of one run of one subject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures(pub Vec<Figure>);

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// In which way the subject did it, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// See [`Line::benchmark`].
    pub benchmark: String,
    /// See [`Line::metric`].
    pub metric: String,
    /// See [`Line::unit`].
    pub unit: String,
    /// The figure.
    pub value: f64,
}

impl Figures {
    /// Adds a figure.
    pub fn push(&mut self, benchmark: &str, metric: &str, unit: &str, value: f64) {
        self.push_of(None, benchmark, metric, unit, value);
    }

    /// Adds a figure of one of a subject's ways to do the same.
    pub fn push_of(
        &mut self,
        way: Option<&str>,
        benchmark: &str,
        metric: &str,
        unit: &str,
        value: f64,
    ) {
        self.0.push(Figure {
            way: way.map(str::to_owned),
            benchmark: benchmark.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
        });
    }
}

/// Gathers the figures of several runs into lines, in the order in which they came.
pub struct Lines {
    workload: String,
    changes: u64,
    objects: u64,
    lines: Vec<Line>,
}

impl Lines {
    /// Lines about a workload.
    pub fn new(workload: &str, changes: u64, objects: u64) -> Self {
        Self {
            workload: workload.to_owned(),
            changes,
            objects,
            lines: Vec::new(),
        }
    }

    /// Adds one run of a subject.
    pub fn add(&mut self, subject: &str, figures: Figures) {
        for figure in figures.0 {
            let subject = match &figure.way {
                Some(way) => format!("{subject}, {way}"),
                None => subject.to_owned(),
            };
            let line = self.lines.iter_mut().find(|line| {
                line.subject == subject
                    && line.benchmark == figure.benchmark
                    && line.metric == figure.metric
            });
            if let Some(line) = line {
                line.runs.push(figure.value);
                continue;
            }
            self.lines.push(Line {
                benchmark: figure.benchmark,
                workload: self.workload.clone(),
                changes: self.changes,
                objects: self.objects,
                pods: 0,
                subject,
                metric: figure.metric,
                unit: figure.unit,
                runs: vec![figure.value],
            });
        }
    }

    /// All of them.
    pub fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    //! Guards the figures: a wrong median is a wrong claim.
    use super::*;

    fn line(runs: &[f64]) -> Line {
        let mut lines = Lines::new("mixed", 10, 5);
        for run in runs {
            let mut figures = Figures::default();
            figures.push("ingest", "rate", "changes/s", *run);
            lines.add("a", figures);
        }
        let mut lines = lines.into_lines();
        assert_eq!(lines.len(), 1, "runs of one figure are one line");
        lines.remove(0)
    }

    #[test]
    fn the_median_is_the_middle_and_the_spread_the_extremes() {
        assert_eq!(line(&[3.0, 1.0, 20.0]).median(), Some(3.0));
        assert_eq!(line(&[4.0, 1.0, 20.0, 2.0]).median(), Some(3.0));
        assert_eq!(line(&[4.0, 1.0, 20.0, 2.0]).spread(), Some((1.0, 20.0)));
        assert_eq!(line(&[7.0]).median(), Some(7.0));
        let none = Line {
            runs: vec![],
            ..line(&[1.0])
        };
        assert_eq!((none.median(), none.spread()), (None, None));
    }

    #[test]
    fn a_line_is_one_json_object_in_the_form_that_all_programs_print() {
        let json = r#"{"benchmark":"ingest","workload":"mixed","changes":10,"objects":5,"subject":"a","metric":"rate","unit":"changes/s","runs":[1.0]}"#;
        assert_eq!(
            serde_json::to_string(&line(&[1.0])).ok().as_deref(),
            Some(json)
        );
        assert_eq!(serde_json::from_str::<Line>(json).ok(), Some(line(&[1.0])));
    }
}
