//! From the bytes of an object or an event to what the session is told.

use std::borrow::Cow;

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::list::Page;
use super::reason::{chain, shortened};
use super::server::RequestError;
use crate::config::TrackedKind;
use crate::model::json_fault::without_values;
use crate::model::{Gvk, Item, Uid};
use crate::normalize::{
    KnownSpecs, LeanPod, Redaction, Scanner, normalize_knowing, normalize_lean, normalize_versioned,
};

/// Something listed or watched that could not be read, and what is known of it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Why, and of which object.
    pub(super) reason: String,
    /// Which object, where that much can be read.
    pub(super) uid: Option<Uid>,
    /// The version behind it, where that much can be read.
    pub(super) version: Option<String>,
    /// Whether it says that something is gone.
    pub(super) deleted: bool,
    /// Whether it came as it was sent: asking for it again would not help.
    pub(super) intact: bool,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// An object exists in this version.
    Applied(Item, String),
    /// An object is gone; its last version.
    Deleted(Item, String),
    /// Everything up to this version was delivered.
    Bookmark(String),
    /// The server no longer has what comes next.
    Expired(String),
    /// The server ends the watch for another reason.
    Error(String),
    /// An event that cannot be read.
    Unreadable(Unreadable),
}

/// The few fields of an object that identify it, whatever their types: an object that cannot be normalized may have
/// any.
#[derive(Deserialize)]
struct Identity {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: Value,
    #[serde(default)]
    resource_version: Value,
    #[serde(default)]
    namespace: Value,
    #[serde(default)]
    name: Value,
}

impl Metadata {
    fn of(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Identity>(json)
            .ok()
            .map(|identity| identity.metadata)
    }

    fn text(value: &Value) -> Option<&str> {
        value.as_str().filter(|text| !text.is_empty())
    }

    fn version(&self) -> Option<String> {
        Self::text(&self.resource_version).map(str::to_owned)
    }
}

/// One item of a list.
#[expect(clippy::large_enum_variant, reason = "a page has items of one variant")]
pub(super) enum Listed<'a> {
    /// As it came.
    Text(&'a str),
    /// A pod that is read only for its lifecycle.
    Pod(LeanPod<'a>),
}

/// Reads what one watch brings.
pub(super) struct Decoder {
    watch: Gvk,
    tracked: Option<TrackedKind>,
    redaction: Redaction,
    /// Of pods that were read before.
    specs: KnownSpecs,
}

impl Decoder {
    /// `tracked`: how the kind is tracked; `None` for pods that are read only for their lifecycles.
    pub(super) fn new(watch: Gvk, tracked: Option<TrackedKind>, redaction: Redaction) -> Self {
        Self {
            watch,
            tracked,
            redaction,
            specs: KnownSpecs::default(),
        }
    }

    /// Reads a page of a list. Of pods that are read only for their lifecycles, it reads on the way all that is needed.
    ///
    /// # Errors
    /// As [`Page::read`].
    pub(super) fn page<'a>(
        &mut self,
        bytes: &'a BytesMut,
    ) -> Result<Page<Listed<'a>>, RequestError> {
        let lean = self.tracked.is_none() && self.watch.is_pod();
        if lean {
            let specs = &mut self.specs;
            if let Some(page) = Page::scan(bytes, |scanner| LeanPod::scan(scanner, specs)) {
                return Ok(page.map(Listed::Pod));
            }
            // What is wrong with one pod, or with the list, is found out below.
            if let Ok(page) = Page::<LeanPod<'a>>::read(bytes) {
                return Ok(page.map(Listed::Pod));
            }
        }
        let page = match Page::scan(bytes, Scanner::raw) {
            Some(page) => page,
            None => Page::<&'a RawValue>::read(bytes)?.map(RawValue::get),
        };
        Ok(page.map(Listed::Text))
    }

    /// Reads one item of a list.
    pub(super) fn listed(&mut self, item: &Listed<'_>) -> Result<Item, Unreadable> {
        match item {
            Listed::Text(json) => {
                let json = json.as_bytes();
                self.normalized(json)
                    .map_err(|reason| unreadable(json, &reason, false))
            }
            Listed::Pod(pod) => normalize_lean(&mut self.specs, &self.watch, &self.redaction, pod)
                .map_err(|error| {
                    let [namespace, name, uid] = pod.names();
                    let uid = (!uid.is_empty()).then(|| Uid(uid.to_owned()));
                    named(&chain(&error), namespace, name, uid, pod.version(), false)
                }),
        }
    }

    /// Reads one line of a watch.
    pub(super) fn event(&mut self, line: &[u8]) -> Event {
        match self.usual(line) {
            Some(event) => event,
            None => self.any(line),
        }
    }

    /// A line of the form that API servers write, about an object that can be read: its text is read once.
    fn usual(&mut self, line: &[u8]) -> Option<Event> {
        let rest = line.strip_prefix(br#"{"type":""#)?;
        let (event, rest): (fn(Item, String) -> Event, _) =
            if let Some(rest) = rest.strip_prefix(b"ADDED") {
                (Event::Applied, rest)
            } else if let Some(rest) = rest.strip_prefix(b"MODIFIED") {
                (Event::Applied, rest)
            } else {
                (Event::Deleted, rest.strip_prefix(b"DELETED")?)
            };
        let rest = rest.strip_prefix(br#"","object":"#)?;
        // If this is not one JSON value alone, the line has another form.
        let json = rest.trim_ascii_end().strip_suffix(b"}")?;
        let tracked = self.tracked.as_ref();
        let (watch, redaction) = (&self.watch, &self.redaction);
        let read = normalize_versioned(&mut self.specs, watch, tracked, redaction, json);
        let (item, version) = read.ok()?;
        Some(event(item, version?))
    }

    /// Any line.
    fn any(&mut self, line: &[u8]) -> Event {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(rename = "type", borrow)]
            action: Cow<'a, str>,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        let line: Line<'_> = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => {
                return Event::Unreadable(garbled(format!(
                    "not a watch event: {}",
                    without_values(&error)
                )));
            }
        };
        let json = line.object.get().as_bytes();
        match &*line.action {
            "ADDED" | "MODIFIED" => self.change(json, Event::Applied, false),
            "DELETED" => self.change(json, Event::Deleted, true),
            "BOOKMARK" => match Metadata::of(json).and_then(|metadata| metadata.version()) {
                Some(version) => Event::Bookmark(version),
                None => Event::Unreadable(garbled("a bookmark without a version".to_owned())),
            },
            "ERROR" => error(json),
            other => Event::Unreadable(Unreadable {
                // It may be about a deletion.
                deleted: true,
                ..unreadable(
                    json,
                    &format!("unknown type of event {:?}", shortened(other)),
                    true,
                )
            }),
        }
    }

    fn change(
        &mut self,
        json: &[u8],
        event: impl FnOnce(Item, String) -> Event,
        deleted: bool,
    ) -> Event {
        let Some(version) = Metadata::of(json).and_then(|metadata| metadata.version()) else {
            let reason = "an object without a resourceVersion";
            return Event::Unreadable(unreadable(json, reason, deleted));
        };
        match self.normalized(json) {
            Ok(item) => event(item, version),
            Err(reason) => Event::Unreadable(unreadable(json, &reason, deleted)),
        }
    }

    /// The one place where this room calls the normalizer: the error as a text.
    fn normalized(&mut self, json: &[u8]) -> Result<Item, String> {
        let tracked = self.tracked.as_ref();
        normalize_knowing(&mut self.specs, &self.watch, tracked, &self.redaction, json)
            .map_err(|error| chain(&error))
    }
}

/// An event of type ERROR holds a `Status`.
fn error(json: &[u8]) -> Event {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: Value,
        reason: Value,
        message: Value,
    }
    let status: Status = serde_json::from_slice(json).unwrap_or_default();
    let code = status.code.as_u64().unwrap_or(0);
    let message = status.message.as_str().unwrap_or("no message");
    let reason = shortened(&format!("the server ended the watch: {code} {message}"));
    if code == 410 || matches!(status.reason.as_str(), Some("Expired" | "Gone")) {
        Event::Expired(reason)
    } else {
        Event::Error(reason)
    }
}

fn garbled(reason: String) -> Unreadable {
    Unreadable {
        reason,
        uid: None,
        version: None,
        deleted: false,
        intact: false,
    }
}

fn unreadable(json: &[u8], reason: &str, deleted: bool) -> Unreadable {
    let Some(metadata) = Metadata::of(json) else {
        return Unreadable {
            deleted,
            ..garbled(shortened(reason))
        };
    };
    let uid = Metadata::text(&metadata.uid).map(|uid| Uid(uid.to_owned()));
    let version = metadata.version();
    let namespace = Metadata::text(&metadata.namespace).unwrap_or_default();
    let name = Metadata::text(&metadata.name).unwrap_or_default();
    named(reason, namespace, name, uid, version, deleted)
}

fn named(
    reason: &str,
    namespace: &str,
    name: &str,
    uid: Option<Uid>,
    version: Option<String>,
    deleted: bool,
) -> Unreadable {
    let name = if name.is_empty() { "(no name)" } else { name };
    Unreadable {
        reason: shortened(&format!("{namespace}/{name}: {reason}")),
        // What names itself and its version arrived as it was sent.
        intact: uid.is_some() && version.is_some(),
        uid,
        version,
        deleted,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    //! Guards against an event that is taken for another: an expiry for a passing error is retried for ever, an
    //! unreadable deletion for a change leaves a ghost.

    use super::*;

    fn redaction() -> Redaction {
        let key = crate::model::RedactionKey::from_bytes([7; 32]);
        Redaction::new(key, &crate::config::TracerConfig::default())
    }

    fn read(line: &str) -> Event {
        Decoder::new(Gvk::pod(), None, redaction()).event(line.as_bytes())
    }

    fn unread(line: &str) -> Unreadable {
        match read(line) {
            Event::Unreadable(unreadable) => unreadable,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_expiry_is_known_by_its_code_or_its_reason() {
        for status in [
            r#"{"code":410}"#,
            r#"{"reason":"Expired"}"#,
            r#"{"reason":"Gone","code":null}"#,
        ] {
            let line = format!(r#"{{"type":"ERROR","object":{status}}}"#);
            assert!(matches!(read(&line), Event::Expired(_)), "{line}");
        }
        for status in [r#"{"code":500}"#, "{}", "5", r#"{"code":"410"}"#] {
            let line = format!(r#"{{"type":"ERROR","object":{status}}}"#);
            assert!(matches!(read(&line), Event::Error(_)), "{line}");
        }
    }

    #[test]
    fn what_can_be_read_of_an_unreadable_event_is_kept() {
        let bad =
            r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"7","ownerReferences":5}}"#;
        let changed = unread(&format!(r#"{{"type":"MODIFIED","object":{bad}}}"#));
        assert_eq!(changed.uid, Some(Uid::from("u")));
        assert_eq!(changed.version.as_deref(), Some("7"));
        assert!(changed.intact && !changed.deleted);
        assert!(unread(&format!(r#"{{"type":"DELETED","object":{bad}}}"#)).deleted);
        // A type that nobody knows may be about a deletion.
        assert!(unread(&format!(r#"{{"type":"MOVED","object":{bad}}}"#)).deleted);
        for line in [
            r#"{"type":"ADDED","object":{"metadata":{"name":"a","uid":"u"}}}"#,
            r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"7"}}}"#,
            r#"{"type":"ADDED","object":{"metadata":[]}}"#,
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}"#,
            r#"{"type":"ADDED"}"#,
            "",
        ] {
            assert!(!unread(line).intact, "{line}");
        }
    }

    const POD: &str = r#"{"metadata":{"namespace":"n","name":"a","uid":"u","resourceVersion":"7","ownerReferences":[
        {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r\u0041","uid":"ru","controller":true}]},
        "spec":{"containers":[{"name":"c"}],"nodeName":"x"},"status":{"phase":"Running"}}"#;

    #[test]
    fn the_usual_form_of_a_line_is_read_as_any_other() {
        let deployment = r#"{"metadata":{"name":"d","namespace":"n","uid":"u","resourceVersion":"8"},"spec":{"a":[1]}}"#;
        let apps = Gvk::new("apps", "v1", "Deployment");
        for (watch, tracked, object) in [
            (Gvk::pod(), None, POD),
            (Gvk::pod(), Some(TrackedKind::default()), POD),
            (apps, Some(TrackedKind::default()), deployment),
        ] {
            let mut decoder = Decoder::new(watch, tracked, redaction());
            for (line, usual) in [
                (format!(r#"{{"type":"ADDED","object":{object}}}"#), true),
                (
                    format!("{{\"type\":\"MODIFIED\",\"object\":{object} }}\r\n"),
                    true,
                ),
                (format!(r#"{{"type":"DELETED","object":{object}}}"#), true),
                (
                    format!(r#"{{"type":"ADDED","object":{object},"more":1}}"#),
                    false,
                ),
                (
                    format!(r#"{{"type":"ADDED","object":{object},"more":{{}}}}"#),
                    false,
                ),
                (format!(r#"{{"type":"ADDED","object":{object}"#), false),
                (format!(r#"{{"type":"ADDED","object":{object}}}}}"#), false),
                (format!(r#"{{"type":"MOVED","object":{object}}}"#), false),
                (format!(r#"{{"type":"BOOKMARK","object":{object}}}"#), false),
                (format!(r#"{{ "type":"ADDED","object":{object}}}"#), false),
            ] {
                let line = line.as_bytes();
                assert_eq!(decoder.usual(line).is_some(), usual, "{line:?}");
                assert_eq!(decoder.event(line), decoder.any(line), "{line:?}");
            }
        }
    }

    /// Whether the pods of a page were read on the way; and its items.
    fn page(pods: &[&str]) -> (bool, Vec<Result<Item, Unreadable>>) {
        let items = pods.join(",");
        let text = format!(r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{items}]}}"#);
        let mut decoder = Decoder::new(Gvk::pod(), None, redaction());
        let bytes = BytesMut::from(text.as_str());
        let page = decoder.page(&bytes).map_err(|error| error.to_string());
        let Ok(page) = page else { panic!("{text}") };
        let lean = page.items.iter().all(|item| matches!(item, Listed::Pod(_)));
        let items = page.items.iter().map(|item| decoder.listed(item));
        (lean, items.collect())
    }

    #[test]
    fn pods_that_are_read_with_their_page_are_the_same() {
        let pod = |from: &str, to: &str| POD.replace(from, to);
        let long = "a".repeat(300);
        let pods = [
            POD.to_owned(),
            pod(r#","resourceVersion":"7""#, ""),
            pod(r#""resourceVersion":"7""#, r#""resourceVersion":7"#),
            pod(r#""uid":"u""#, r#""uid":"""#),
            pod(r#""name":"a""#, &format!(r#""name":"{long}""#)),
            pod(r#""name":"a","#, ""),
            pod(r#"{"metadata""#, r#"{"kind":"Node","metadata""#),
        ];
        let pods: Vec<_> = pods.iter().map(String::as_str).collect();
        let (lean, together) = page(&pods);
        assert!(lean);
        let mut decoder = Decoder::new(Gvk::pod(), None, redaction());
        for (pod, item) in pods.iter().zip(together) {
            let raw: Result<&RawValue, _> = serde_json::from_str(pod);
            let Ok(raw) = raw else { panic!("{pod}") };
            assert_eq!(item, decoder.listed(&Listed::Text(raw.get())), "{pod}");
        }
    }

    #[test]
    fn a_malformed_pod_costs_no_other() {
        let bad = r#"{"metadata":{"name":"b","uid":"v","ownerReferences":5}}"#;
        let (lean, items) = page(&[POD, bad, POD]);
        assert!(!lean);
        let [Ok(_), Err(unreadable), Ok(_)] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!(unreadable.uid, Some(Uid::from("v")));
    }
}
