//! Figures, as JSON lines for the report program or as a table for people.

use serde::Serialize;

/// One figure of one subject, of every run.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub benchmark: &'static str,
    pub workload: String,
    /// Changes offered.
    pub changes: u64,
    /// Tracked objects that exist at the start.
    pub objects: u64,
    /// Pods that exist at the start.
    pub pods: u64,
    pub subject: &'static str,
    pub metric: &'static str,
    pub unit: &'static str,
    pub runs: Vec<f64>,
}

impl Line {
    pub fn median(&self) -> f64 {
        median(&self.runs)
    }
}

pub fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (count, half) if count % 2 == 0 => (sorted[half - 1] + sorted[half]) / 2.0,
        (_, half) => sorted[half],
    }
}

/// What is measured at present.
#[derive(Clone, Debug)]
pub struct Setting {
    pub benchmark: &'static str,
    pub workload: String,
    pub changes: u64,
    pub objects: u64,
    pub pods: u64,
}

/// Collects figures of several runs.
#[derive(Debug, Default)]
pub struct Results(Vec<Line>);

impl Results {
    pub fn add(
        &mut self,
        setting: &Setting,
        subject: &'static str,
        (metric, unit): (&'static str, &'static str),
        value: f64,
    ) {
        let same = self.0.iter_mut().find(|line| {
            line.benchmark == setting.benchmark
                && line.workload == setting.workload
                && (line.changes, line.objects, line.pods)
                    == (setting.changes, setting.objects, setting.pods)
                && line.subject == subject
                && line.metric == metric
        });
        match same {
            Some(line) => line.runs.push(value),
            None => self.0.push(Line {
                benchmark: setting.benchmark,
                workload: setting.workload.clone(),
                changes: setting.changes,
                objects: setting.objects,
                pods: setting.pods,
                subject,
                metric,
                unit,
                runs: vec![value],
            }),
        }
    }

    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// JSON lines.
    pub fn json(&self) -> String {
        let lines = self.0.iter().map(|line| {
            // Plain fields always serialize.
            serde_json::to_string(line).unwrap_or_default() + "\n"
        });
        lines.collect()
    }

    /// A table of medians, with the range where there are several runs.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut heading = String::new();
        for line in &self.0 {
            let next = format!(
                "\n{} ({}; {} changes, {} objects, {} pods)\n",
                line.benchmark, line.workload, line.changes, line.objects, line.pods
            );
            if next != heading {
                text.push_str(&next);
                heading = next;
            }
            let range = match line.runs.as_slice() {
                [] | [_] => String::new(),
                runs => {
                    let low = runs.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    format!("  ({low:.3} to {high:.3}, {} runs)", runs.len())
                }
            };
            text.push_str(&format!(
                "  {:<11} {:<26} {:>12.3} {}{range}\n",
                line.subject,
                line.metric,
                line.median(),
                line.unit
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    //! Guards against figures of one subject that end up with another's.

    use super::*;

    #[test]
    fn runs_are_kept_by_subject_and_metric() {
        let setting = Setting {
            benchmark: "b",
            workload: "w".to_owned(),
            changes: 1,
            objects: 2,
            pods: 3,
        };
        let other = Setting {
            changes: 9,
            ..setting.clone()
        };
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            results.add(&setting, "x", ("m", "s"), value);
        }
        results.add(&setting, "y", ("m", "s"), 7.0);
        results.add(&other, "x", ("m", "s"), 8.0);
        results.add(&setting, "x", ("n", "s"), 9.0);
        let medians: Vec<_> = results.lines().iter().map(Line::median).collect();
        assert_eq!(medians, [2.0, 7.0, 8.0, 9.0]);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(results.json().lines().count(), 4);
    }
}
