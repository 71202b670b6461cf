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
fn growth_needs_two_sizes_and_starts_where_the_goal_says() {
    let mut lines = vec![
        line("a", "sk-tracedb", "rate", 2_000, &[11.0]),
        line("a", "sk-tracedb", "rate", 101, &[1.0]),
    ];
    let goal = goal(Measure::Growth(RATE, 100), Bound::AtMost(1.1));
    assert!(goal.find(&lines).is_empty(), "no record is small enough");
    lines.push(line("a", "sk-tracedb", "rate", 10, &[2.0]));
    lines.push(line("a", "sk-tracedb", "rate", 100, &[10.0]));
    let found = goal.find(&lines);
    assert_eq!(found[0].figure("x"), "1.10x");
    assert!(found[0].on(goal.size).ends_with(", against 100 changes"));
    assert_eq!(goal.verdict(&found[0]), "reached");
}

#[test]
fn the_record_is_the_smallest_that_is_large_enough() {
    let mut lines = vec![line("a", "sk-tracedb", "rate", 999, &[1.0])];
    let at = |size| Goal {
        size,
        ..goal(Measure::Figure(RATE), Bound::AtLeast(5.0))
    };
    let sized = at(Size {
        changes: 1_000,
        ..definitions::ANY
    });
    let changes = |goal: &Goal, lines: &[Line]| goal.find(lines)[0].scope.changes;
    assert_eq!(changes(&sized, &lines), 999);
    lines.push(line("a", "sk-tracedb", "rate", 10_000, &[3.0]));
    lines.push(line("a", "sk-tracedb", "rate", 1_000, &[5.0]));
    assert_eq!(changes(&sized, &lines), 1_000);
    assert_eq!(sized.verdict(&sized.find(&lines)[0]), "reached");
    assert_eq!(
        changes(&at(definitions::ANY), &lines),
        10_000,
        "no size is asked for"
    );
}

#[test]
fn too_few_objects_are_marked() {
    let lines = [line("a", "sk-tracedb", "rate", 10, &[3.0])];
    let at = |objects| Goal {
        size: Size {
            objects,
            ..definitions::ANY
        },
        ..goal(Measure::Figure(RATE), Bound::AtLeast(3.0))
    };
    let verdict = |goal: Goal| goal.verdict(&goal.find(&lines)[0]);
    assert_eq!(verdict(at(50)), "reached");
    assert_eq!(verdict(at(51)), "reached, on a smaller record");
}

#[test]
fn what_has_no_number_is_compared() {
    let lines = [line("a", "sk-tracedb", "rate", 1_000, &[3.0])];
    let goal = goal(Measure::Figure(RATE), Bound::Any);
    assert_eq!(goal.bound.say("x"), "to be compared");
    assert_eq!(goal.verdict(&goal.find(&lines)[0]), "compared");
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
