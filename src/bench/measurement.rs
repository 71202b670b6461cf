//! What was measured.

use serde::Serialize;

use super::Audience;

/// What all measurements of one store have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scope {
    /// Name of the workload.
    pub workload: String,
    /// Changes in the record.
    pub changes: u64,
    /// Objects at a time, about.
    pub objects: u64,
}

/// All measurements of one quantity, one for each run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// The phase that it belongs to.
    pub benchmark: &'static str,
    /// What was measured on.
    #[serde(flatten)]
    pub scope: Scope,
    /// Who or what was measured.
    pub subject: &'static str,
    /// The quantity: a name with its unit at the end, where it has one.
    pub metric: &'static str,
    /// The unit.
    pub unit: &'static str,
    /// One number for each run.
    pub runs: Vec<f64>,
}

impl Measurement {
    /// The median of the runs; of an even number of them, the mean of the two in the middle. NaN without runs.
    pub fn median(&self) -> f64 {
        let mut runs = self.runs.clone();
        runs.sort_by(f64::total_cmp);
        let middle = runs.len() / 2;
        let (Some(upper), odd) = (runs.get(middle), runs.len() % 2 == 1) else {
            return f64::NAN;
        };
        match runs.get(middle.wrapping_sub(1)) {
            Some(lower) if !odd => f64::midpoint(*lower, *upper),
            _ => *upper,
        }
    }
}

/// The value that `percent` of the values do not exceed. NaN without values.
pub(super) fn percentile(values: &mut [u64], percent: usize) -> f64 {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    let value = values.get(rank.saturating_sub(1));
    value.map_or(f64::NAN, |value| *value as f64)
}

/// Where the results of one phase go.
pub(super) struct Results<'a> {
    pub(super) benchmark: &'static str,
    pub(super) scope: &'a Scope,
    pub(super) audience: &'a mut dyn Audience,
}

impl Results<'_> {
    /// Tells one quantity.
    pub(super) fn say(
        &mut self,
        subject: &'static str,
        metric: &'static str,
        unit: &'static str,
        runs: Vec<f64>,
    ) {
        self.audience.measured(Measurement {
            benchmark: self.benchmark,
            scope: self.scope.clone(),
            subject,
            metric,
            unit,
            runs,
        });
    }

    /// Tells one quantity, as far as the system tells it.
    pub(super) fn say_known(
        &mut self,
        subject: &'static str,
        metric: &'static str,
        unit: &'static str,
        runs: impl Iterator<Item = Option<f64>>,
    ) {
        let runs: Vec<f64> = runs.flatten().collect();
        if !runs.is_empty() {
            self.say(subject, metric, unit, runs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Measurement, Scope, percentile};

    fn median(runs: &[f64]) -> f64 {
        Measurement {
            benchmark: "ingest",
            scope: Scope {
                workload: "mixed".to_owned(),
                changes: 1,
                objects: 1,
            },
            subject: "sk-tracedb",
            metric: "seconds",
            unit: "s",
            runs: runs.to_vec(),
        }
        .median()
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_percentile_is_a_value_that_so_many_do_not_exceed() {
        let mut values: Vec<u64> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut values, 50), 100.0);
        assert_eq!(percentile(&mut values, 99), 198.0);
        assert_eq!(percentile(&mut values, 100), 200.0);
        assert_eq!(percentile(&mut [7], 1), 7.0);
        assert!(percentile(&mut [], 50).is_nan());
    }
}
