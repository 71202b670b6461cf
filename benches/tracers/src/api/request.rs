//! What a request asks for.

use std::collections::BTreeMap;

use axum::extract::Request;
use hyper::header::ACCEPT;

use crate::content::{Content, Form};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// All objects of a kind, by the position of its collection: a list or a watch.
    List(usize),
    Object {
        collection: usize,
        namespace: &'a str,
        name: &'a str,
    },
    /// Everything else: what is served, or nothing that is.
    Discovery,
}

pub(super) fn route<'a>(content: &Content, path: &'a str) -> Ask<'a> {
    for (collection, found) in content.collections.iter().enumerate() {
        let served = &found.served;
        let Some(rest) = path.strip_prefix(&served.root()) else {
            continue;
        };
        let parts: Vec<_> = rest.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            [plural] if *plural == served.plural => return Ask::List(collection),
            ["namespaces", namespace, plural, name]
                if *plural == served.plural && served.namespaced =>
            {
                return Ask::Object {
                    collection,
                    namespace,
                    name,
                };
            }
            [plural, name] if *plural == served.plural && !served.namespaced => {
                return Ask::Object {
                    collection,
                    namespace: "",
                    name,
                };
            }
            _ => {}
        }
    }
    Ask::Discovery
}

/// Everything of a request but its path.
#[derive(Debug)]
pub(super) struct Query {
    values: BTreeMap<String, String>,
    pub(super) form: Form,
    /// Whether aggregated discovery is accepted.
    pub(super) aggregated: bool,
}

impl Query {
    pub(super) fn read(request: &Request) -> Self {
        let accept = request.headers().get(ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok());
        let accept = accept.unwrap_or_default();
        Self::new(request.uri().query().unwrap_or_default(), accept)
    }

    pub(super) fn new(query: &str, accept: &str) -> Self {
        let form = if accept.contains("as=PartialObjectMetadata") {
            Form::Metadata
        } else {
            Form::Whole
        };
        Self {
            values: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            form,
            aggregated: accept.contains("g=apidiscovery.k8s.io;v=v2"),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn says(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1"))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.says("watch")
    }
}
