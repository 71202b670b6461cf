//! Gaps, as people are told of them.

use crate::query::Gap;

/// Gaps with the same times and reason, one line for all their kinds. A recorder that was down was blind for every kind.
pub(super) struct Blindness<'a> {
    pub(super) kinds: Vec<&'a str>,
    pub(super) gap: &'a Gap,
}

impl Blindness<'_> {
    /// When it ended, in words.
    pub(super) fn end(&self) -> String {
        self.gap.end.map_or("now".to_owned(), |end| end.to_string())
    }
}

/// Brings together gaps that differ in their kinds only and follow each other.
pub(super) fn together(gaps: &[Gap]) -> Vec<Blindness<'_>> {
    let mut lines: Vec<Blindness<'_>> = Vec::new();
    for gap in gaps {
        let same = |line: &Blindness<'_>| {
            (line.gap.start, line.gap.end, &line.gap.reason) == (gap.start, gap.end, &gap.reason)
        };
        match lines.last_mut().filter(|line| same(line)) {
            Some(line) => line.kinds.push(&gap.kind),
            None => lines.push(Blindness {
                kinds: vec![&gap.kind],
                gap,
            }),
        }
    }
    lines
}

/// Warns of gaps on stderr.
pub(super) fn warn(gaps: &[Gap]) {
    for line in together(gaps) {
        eprintln!(
            "warning: blind from {} to {} for {}: {}",
            line.gap.start,
            line.end(),
            line.kinds.join(", "),
            line.gap.reason
        );
    }
}
