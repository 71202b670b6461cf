//! Lists and single objects. Pages are written while they are sent, a few items at a time.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;

use super::request::Query;
use super::{Shared, json_body, not_found, status};
use crate::content::{Content, Form};
use crate::limits::CHUNK_ITEMS;

pub(super) fn answer(shared: &Arc<Shared>, collection: usize, query: &Query) -> Response {
    let items = &shared.content.collections[collection].items;
    if query
        .text("labelSelector")
        .is_some_and(|text| !text.is_empty())
    {
        return bad("label selectors are not scripted");
    }
    let (range, token) = match query.text("fieldSelector").filter(|text| !text.is_empty()) {
        Some(selector) => {
            let Some((namespace, name)) = by_name(selector) else {
                return bad("only metadata.namespace and metadata.name are scripted as fields");
            };
            shared.seen.looked_up(collection);
            let found = items.find(namespace, name);
            (found.map_or(0..0, |index| index..index + 1), None)
        }
        None => {
            let start = match query.text("continue").filter(|token| !token.is_empty()) {
                None => 0,
                Some(token) => match token.parse::<usize>() {
                    Ok(start) if start <= items.len() => start,
                    _ => return bad("this is no token of a list"),
                },
            };
            // From its cache a server sends everything at once, whatever the limit.
            let limit = match (query.number("limit"), query.text("resourceVersion")) {
                (None | Some(0), _) | (_, Some("0")) => items.len(),
                (Some(limit), _) => usize::try_from(limit).unwrap_or(usize::MAX),
            };
            let end = start.saturating_add(limit).min(items.len());
            // A list of one item asks for the version; only one that can be the whole list counts as one.
            if query.form == Form::Whole {
                shared.seen.page(collection, start == 0, end == items.len());
            }
            let token = (end < items.len()).then(|| (end, items.len() - end));
            (start..end, token)
        }
    };

    let content = Arc::clone(&shared.content);
    let served = &content.collections[collection].served;
    let mut head = match query.form {
        Form::Whole => format!(
            r#"{{"kind":"{}List","apiVersion":"{}","metadata":{{"resourceVersion":"{}""#,
            served.gvk.kind,
            served.gvk.api_version(),
            content.version
        ),
        Form::Metadata => format!(
            r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{{"resourceVersion":"{}""#,
            content.version
        ),
    };
    if let Some((next, remaining)) = token {
        head.push_str(&format!(
            r#","continue":"{next}","remainingItemCount":{remaining}"#
        ));
    }
    head.push_str("},\"items\":[");
    let form = query.form;
    let shared = Arc::clone(shared);
    let first = range.start;
    let pieces = futures::stream::unfold(Some((head.into_bytes(), range)), move |state| {
        let piece = state.map(|(mut out, range)| {
            let items = &content.collections[collection].items;
            let end = range.end.min(range.start + CHUNK_ITEMS);
            for index in range.start..end {
                if index > first {
                    out.push(b',');
                }
                items.write(index, form, &mut out);
            }
            let next = if end < range.end {
                Some((Vec::new(), end..range.end))
            } else {
                out.extend_from_slice(b"]}");
                None
            };
            shared.seen.sent(collection, out.len());
            (Ok::<_, Infallible>(Bytes::from(out)), next)
        });
        std::future::ready(piece)
    });
    json_body(Body::from_stream(pieces))
}

/// One object.
pub(super) fn object(
    content: &Content,
    collection: usize,
    namespace: &str,
    name: &str,
    form: Form,
) -> Response {
    let found = &content.collections[collection];
    let Some(index) = found.items.find(namespace, name) else {
        return not_found();
    };
    let gvk = &found.served.gvk;
    let mut body = match form {
        Form::Whole => format!(
            r#"{{"apiVersion":"{}","kind":"{}","#,
            gvk.api_version(),
            gvk.kind
        ),
        Form::Metadata => {
            r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","#.to_owned()
        }
    }
    .into_bytes();
    let mut object = Vec::new();
    found.items.write(index, form, &mut object);
    body.extend_from_slice(&object[1..]);
    json_body(body)
}

/// `metadata.namespace=NAMESPACE,metadata.name=NAME`, in any order.
fn by_name(selector: &str) -> Option<(&str, &str)> {
    let (mut namespace, mut name) = ("", None);
    for term in selector.split(',') {
        let (field, value) = term.split_once('=')?;
        let value = value.trim_start_matches('=');
        match field {
            "metadata.namespace" => namespace = value,
            "metadata.name" => name = Some(value),
            _ => return None,
        }
    }
    name.map(|name| (namespace, name))
}

fn bad(message: &str) -> Response {
    status(StatusCode::BAD_REQUEST, "BadRequest", message)
}
