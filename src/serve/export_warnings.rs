//! What the receiver of an export should know, as headers of the response (R10).

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::export::ExportSummary;
use crate::limits::{GAPS_REPORTED_MAX, HTTP_WARNING_BYTES_MAX, HTTP_WARNINGS_MAX};

/// Number of gaps that touch the window, 0 included; counting stops at [`GAPS_REPORTED_MAX`].
const GAPS: HeaderName = HeaderName::from_static("x-sk-tracedb-gaps");
/// One warning in words; may occur several times.
const WARNING: HeaderName = HeaderName::from_static("x-sk-tracedb-warning");

pub(super) fn headers(summary: &ExportSummary) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(GAPS, HeaderValue::from(summary.gaps.len()));
    for warning in warnings(summary) {
        headers.append(WARNING, header_value(&warning));
    }
    headers
}

fn warnings(summary: &ExportSummary) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(start) = summary.clamped_to {
        warnings.push(format!(
            "the window begins at {start}: what was recorded before has been dropped by retention"
        ));
    }
    if let Some(start) = summary.record_starts {
        warnings.push(format!(
            "the record begins at {start}, after the window's start: what existed before is unknown"
        ));
    }
    if summary.cluster_scoped_left_out > 0 {
        warnings.push(format!(
            "{} cluster-scoped objects are left out: SimKube's driver cannot replay them",
            summary.cluster_scoped_left_out
        ));
    }
    let gaps = summary.gaps.len();
    if gaps > 0 {
        let at_least = if gaps >= GAPS_REPORTED_MAX {
            "at least "
        } else {
            ""
        };
        warnings.push(format!(
            "the record was blind {at_least}{gaps} times in this window; changes of those times stand where they were found"
        ));
    }
    for gap in &summary.gaps {
        if warnings.len() >= HTTP_WARNINGS_MAX {
            break;
        }
        let end = match gap.end {
            Some(end) => format!("to {end}"),
            None => "until now".to_owned(),
        };
        warnings.push(format!(
            "{} was not seen from {} {end}: {}",
            gap.kind, gap.start, gap.reason
        ));
    }
    warnings
}

/// The text as far as a header can hold it.
fn header_value(text: &str) -> HeaderValue {
    let visible: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .take(HTTP_WARNING_BYTES_MAX)
        .collect();
    HeaderValue::try_from(visible).unwrap_or(HeaderValue::from_static("?"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a reason with line breaks in it, which would end the header or the response.

    use super::*;
    use crate::model::Timestamp;
    use crate::query::Gap;

    #[test]
    fn warnings_fit_into_headers_whatever_the_reason_says() {
        let gap = Gap {
            kind: "v1.Pod".to_owned(),
            start: Timestamp::from_seconds(10),
            end: None,
            reason: format!("evil\r\nx-injected: 1\u{1F600}{}", "x".repeat(10_000)),
        };
        let summary = ExportSummary {
            gaps: vec![gap; 50],
            ..ExportSummary::default()
        };
        let headers = headers(&summary);
        assert_eq!(headers.get(GAPS).unwrap(), "50");
        let warnings: Vec<_> = headers.get_all(WARNING).iter().collect();
        assert_eq!(warnings.len(), HTTP_WARNINGS_MAX);
        assert_eq!(
            warnings.first().unwrap().to_str().unwrap(),
            "the record was blind 50 times in this window; changes of those times stand where they were found"
        );
        let gap = warnings.last().unwrap().to_str().unwrap();
        assert!(gap.starts_with(
            "v1.Pod was not seen from 1970-01-01T00:00:10Z until now: evil??x-injected: 1?xxx"
        ));
        assert_eq!(gap.len(), HTTP_WARNING_BYTES_MAX);
    }

    #[test]
    fn an_export_without_anything_to_say_says_nothing() {
        let headers = headers(&ExportSummary::default());
        assert_eq!(headers.get(GAPS).unwrap(), "0");
        assert!(headers.get(WARNING).is_none());
    }
}
