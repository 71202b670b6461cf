//! Reasons as texts: short enough for a row and a log line.

use crate::limits::REASON_CHARS_MAX;

/// The text, cut after [`REASON_CHARS_MAX`] characters.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// An error and its causes, each said once, shortened.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    const CAUSES_MAX: usize = 16;
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    shortened(&text)
}
