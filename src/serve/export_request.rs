//! What SimKube's client sends to `POST /export`, and what this server takes beyond it.
//!
//! As sk-tracer does, the request as a whole may hold fields that are not known here. In `filters` an unknown field is
//! refused: a filter that is misspelt and silently ignored exports what was to be left out. `filters` must be there,
//! for the same reason; each list in it may be absent.

use http::StatusCode;
use serde::Deserialize;

use super::refusal::Refusal;
use crate::export::sink::StorageLocation;
use crate::export::{ExportFilters, ExportRequest};
use crate::model::{LabelSelector, TimeRange, Timestamp};
use crate::query::KindMatch;

/// What is to be exported, and where to.
#[derive(Debug)]
pub(super) struct WantedExport {
    pub(super) request: ExportRequest,
    pub(super) target: Target,
}

/// Where the trace goes.
#[derive(Debug)]
pub(super) enum Target {
    /// Into the response: the client puts it where it wants it.
    Client,
    /// Into an object store, from here: the response is empty.
    Storage(StorageLocation),
}

#[derive(Deserialize)]
#[serde(expecting = "an export request (start_ts, end_ts, export_path, filters)")]
struct WireRequest {
    start_ts: i64,
    end_ts: i64,
    export_path: String,
    filters: WireFilters,
    transform: Option<String>,
}

/// The first two are SimKube's; the others are ours.
#[derive(Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "filters (lists of namespaces, kinds and label selectors)"
)]
struct WireFilters {
    excluded_namespaces: Vec<String>,
    excluded_labels: Vec<LabelSelector>,
    included_namespaces: Vec<String>,
    excluded_kinds: Vec<String>,
    included_kinds: Vec<String>,
    included_labels: Vec<LabelSelector>,
    include_cluster_scoped: bool,
}

/// Reads the body of a request.
pub(super) fn parse(body: &[u8]) -> Result<WantedExport, Refusal> {
    let wire: WireRequest = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("invalid export request: {error}")))?;
    if wire
        .transform
        .is_some_and(|program| !program.trim().is_empty())
    {
        return Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "this server does not run SKEL transforms\nhint: export without `transform`, then apply the program to the \
             file: skctl transform FILE SKEL_FILE",
        ));
    }
    let window = TimeRange::new(
        Timestamp::from_seconds(wire.start_ts),
        Timestamp::from_seconds(wire.end_ts),
    )
    .map_err(|error| {
        Refusal::bad_request(format!(
            "{error} (start_ts {}, end_ts {})",
            wire.start_ts, wire.end_ts
        ))
    })?;
    let filters = ExportFilters {
        excluded_namespaces: wire.filters.excluded_namespaces,
        included_namespaces: wire.filters.included_namespaces,
        excluded_kinds: kinds(&wire.filters.excluded_kinds)?,
        included_kinds: kinds(&wire.filters.included_kinds)?,
        excluded_labels: wire.filters.excluded_labels,
        included_labels: wire.filters.included_labels,
        include_cluster_scoped: wire.filters.include_cluster_scoped,
    };
    filters
        .validate()
        .map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(WantedExport {
        request: ExportRequest { window, filters },
        target: target(&wire.export_path)?,
    })
}

fn kinds(texts: &[String]) -> Result<Vec<KindMatch>, Refusal> {
    texts
        .iter()
        .map(|text| text.parse::<KindMatch>())
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::bad_request(error.to_string()))
}

fn target(export_path: &str) -> Result<Target, Refusal> {
    match StorageLocation::parse(export_path) {
        Ok(None) => Ok(Target::Client),
        Ok(Some(location)) if location.names_object() => Ok(Target::Storage(location)),
        Ok(Some(location)) => Err(Refusal::bad_request(format!(
            "export_path {location} names a bucket and no object in it"
        ))),
        Err(error) => Err(Refusal::bad_request(format!("export_path {error}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a client of SimKube that is no longer understood, and against filters that are silently ignored.

    use super::*;

    fn refused(body: &str) -> (u16, String) {
        let refusal = parse(body.as_bytes()).unwrap_err();
        (refusal.status.as_u16(), refusal.text)
    }

    #[test]
    fn what_skctl_sends_is_understood() {
        let wanted = parse(
            br#"{"start_ts":1,"end_ts":2,"export_path":"output.sktrace","filters":
                {"excluded_namespaces":["kube-system"],"excluded_labels":[{"matchLabels":{"a":"b"}}]}}"#,
        )
        .unwrap();
        assert!(matches!(wanted.target, Target::Client));
        let request = wanted.request;
        assert_eq!(request.window.start, Timestamp::from_seconds(1));
        assert_eq!(request.window.end, Timestamp::from_seconds(2));
        assert_eq!(request.filters.excluded_namespaces, ["kube-system"]);
        assert_eq!(request.filters.excluded_labels.len(), 1);
        assert!(!request.filters.include_cluster_scoped);
    }

    #[test]
    fn fields_that_only_others_know_are_ignored_outside_filters() {
        let wanted = parse(
            br#"{"start_ts":1,"end_ts":1,"export_path":"gs://b/o","filters":{},"transform":"","later":[{}]}"#,
        )
        .unwrap();
        assert!(matches!(wanted.target, Target::Storage(_)));
    }

    #[test]
    fn our_filters_are_understood() {
        let wanted = parse(
            br#"{"start_ts":1,"end_ts":2,"export_path":"","filters":{"included_namespaces":["a"],"excluded_kinds":["cm"],
                "included_kinds":["apps/v1.Deployment"],"included_labels":[{"matchExpressions":[{"key":"x","operator":"Exists"}]}],
                "include_cluster_scoped":true}}"#,
        )
        .unwrap();
        let filters = wanted.request.filters;
        assert_eq!(filters.included_namespaces, ["a"]);
        assert!(
            filters
                .excluded_kinds
                .iter()
                .all(|kind| kind.matches("", "ConfigMap"))
        );
        assert!(
            filters
                .included_kinds
                .iter()
                .all(|kind| kind.matches("apps", "Deployment"))
        );
        assert_eq!(filters.included_labels.len(), 1);
        assert!(filters.include_cluster_scoped);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let with = |filters: &str| {
            format!(r#"{{"start_ts":1,"end_ts":2,"export_path":"x","filters":{filters}}}"#)
        };
        for (body, named) in [
            (String::new(), "EOF"),
            ("{".to_owned(), "line 1 column 1"),
            ("[]".to_owned(), "start_ts"),
            (r#"{"start_ts":"x"}"#.to_owned(), "expected i64"),
            (
                r#"{"start_ts":1,"end_ts":2,"export_path":"x"}"#.to_owned(),
                "`filters`",
            ),
            (with(r#"{"excluded_namespace":[]}"#), "`excluded_namespace`"),
            (
                with(r#"{"excluded_kinds":["a b"]}"#),
                "\"a b\" names no kind",
            ),
            (
                with(
                    r#"{"excluded_labels":[{"matchExpressions":[{"key":"k","operator":"Near"}]}]}"#,
                ),
                "\"Near\"",
            ),
            (
                with(r#"{"included_labels":[{"matchLabels":{"-":"v"}}]}"#),
                "\"-\"",
            ),
            (
                r#"{"start_ts":3,"end_ts":2,"export_path":"x","filters":{}}"#.to_owned(),
                "(start_ts 3, end_ts 2)",
            ),
            (
                r#"{"start_ts":1,"end_ts":2,"export_path":"s3://bucket","filters":{}}"#.to_owned(),
                "s3://bucket names a bucket",
            ),
            (
                r#"{"start_ts":1,"end_ts":2,"export_path":"s3:///x","filters":{}}"#.to_owned(),
                "s3:///x",
            ),
        ] {
            let (status, text) = refused(&body);
            assert_eq!(status, 400, "{body}: {text}");
            assert!(text.contains(named), "{body}: {text}");
        }
    }

    #[test]
    fn a_transform_is_refused_with_the_way_out() {
        let (status, text) = refused(
            r#"{"start_ts":1,"end_ts":2,"export_path":"x","filters":{},"transform":"modify(spec)"}"#,
        );
        assert_eq!(status, 501);
        assert!(text.contains("skctl transform"), "{text}");
    }
}
