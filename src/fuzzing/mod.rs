//! What the fuzz targets (`fuzz/`) do with their input: everything that comes from outside and is decoded here. Not in the
//! product: compiled for tests, which run the same over the committed seeds, and with the feature `fuzzing`.
//!
//! A target must come back from any input, without a panic and within the bounds of [`crate::limits`]. What it accepts
//! must mean the same when it is written and read again.

use std::convert::Infallible;
use std::io::Read;

use serde_json::Value;

use crate::config::TracerConfig;
use crate::import::sktrace::{self, TraceVisitor};
use crate::limits::CONFIG_BYTES_MAX;
use crate::model::{EventKey, Gvk, RedactionKey, Timestamp};
use crate::normalize::{Redaction, encode_body, imported};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
mod tests;

/// A stored row: the name of a table, `00`, the length of the key (one byte), the key, the payload. The row is sealed as the
/// store would have sealed it, so that what is behind the checksum is reached: bincode and the packed forms.
pub fn row(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == 0) else {
        return;
    };
    let (table, rest) = data.split_at(end);
    if let (Ok(table), [0, key_len, rest @ ..]) = (std::str::from_utf8(table), rest) {
        let (key, payload) = rest.split_at(usize::from(*key_len).min(rest.len()));
        decode_row(table, key, payload);
    }
}

/// Reads a payload as the row of a table at a key. Of a table that there is not, nothing is read.
pub fn decode_row(table: &str, key: &[u8], payload: &[u8]) {
    crate::store::fuzzing::decode_row(table, key, payload, &mut |body| {
        let event = EventKey {
            at: Timestamp::MIN,
            seq: 0,
        };
        let _ = crate::query::decode_body(event, body);
    });
}

/// A trace file.
pub fn sktrace(data: &[u8]) {
    let checked = sktrace::check(data);
    let mut visitor = Normalizing::default();
    let read = sktrace::read(data, &mut visitor);
    let text = |result: &Result<sktrace::TraceSummary, sktrace::TraceError>| match result {
        Ok(summary) => format!("{summary:?}"),
        Err(error) => error.to_string(),
    };
    // An import relies on it: what the check lets through is read completely.
    assert_eq!(text(&checked), text(&read), "checking and reading differ");
    let in_pieces = sktrace::check(Pieces(data));
    assert_eq!(text(&checked), text(&in_pieces), "reads of one byte differ");
    if let Ok(summary) = checked {
        assert_eq!(
            (summary.applied, summary.deleted),
            (visitor.applied, visitor.deleted)
        );
    }
}

/// A tracer config.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok((config, _warnings)) = TracerConfig::parse(text) else {
        return;
    };
    let stored = TracerConfig::from_json(&config.to_json());
    assert_eq!(
        stored.ok().as_ref(),
        Some(&config),
        "a config is not what was stored of it"
    );
    // An import reads the config of an exported trace as YAML, which JSON is. What its aliases expand to may be too long.
    let exported = config.to_simkube().to_string();
    if exported.len() <= CONFIG_BYTES_MAX / 64 {
        let reread = TracerConfig::parse(&exported);
        assert!(
            reread.is_ok(),
            "an exported config is refused: {exported}: {reread:?}"
        );
    }
}

/// The body of `POST /export`.
pub fn export_request(data: &[u8]) {
    if let Some((status, text)) = crate::serve::export_request_refusal(data) {
        assert!(matches!(status, 400 | 501), "{status}: {text}");
        assert!(!text.is_empty());
    }
}

/// Normalizes what a trace holds, as an import does.
#[derive(Default)]
struct Normalizing {
    redaction: Option<Redaction>,
    applied: u64,
    deleted: u64,
}

impl TraceVisitor for Normalizing {
    type Error = Infallible;

    fn config(&mut self, config: Value) -> Result<(), Infallible> {
        let (mut config, _) = TracerConfig::parse(&config.to_string()).unwrap_or_default();
        config.redact_env = true;
        self.redaction = Some(Redaction::new(RedactionKey::from_bytes([7; 32]), &config));
        Ok(())
    }

    fn event_started(&mut self, _: i64) -> Result<(), Infallible> {
        Ok(())
    }

    fn applied(&mut self, object: Value) -> Result<(), Infallible> {
        self.applied += 1;
        if let Some(Ok(observed)) = self.redaction.as_ref().map(|with| imported(with, object)) {
            let stored = rmp_serde::from_slice::<Value>(&observed.body).ok();
            let again = stored.as_ref().map(encode_body);
            assert_eq!(
                again.as_ref(),
                Some(&observed.body),
                "a body is not read as it was written"
            );
        }
        Ok(())
    }

    fn deleted(&mut self, _: Value) -> Result<(), Infallible> {
        self.deleted += 1;
        Ok(())
    }

    fn event_finished(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn index_entry(&mut self, _: &Gvk, _: &str, _: u64) -> Result<(), Infallible> {
        Ok(())
    }

    fn lifecycle(
        &mut self,
        _: &Gvk,
        _: &str,
        _: u64,
        _: i64,
        _: Option<i64>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Gives its bytes one at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(1);
        self.0.read(buffer.get_mut(..len).unwrap_or_default())
    }
}
