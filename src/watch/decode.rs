//! From the bytes of an object or an event to what the session is told.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reason::{chain, shortened};
use crate::config::TrackedKind;
use crate::model::json_fault::without_values;
use crate::model::{Gvk, Item, Uid};
use crate::normalize::{KnownSpecs, Redaction, normalize_knowing};

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

    /// Reads one item of a list.
    pub(super) fn listed(&mut self, json: &[u8]) -> Result<Item, Unreadable> {
        self.normalized(json)
            .map_err(|reason| unreadable(json, &reason, false))
    }

    /// Reads one line of a watch.
    pub(super) fn event(&mut self, line: &[u8]) -> Event {
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
    let name = Metadata::text(&metadata.name).unwrap_or("(no name)");
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
}
