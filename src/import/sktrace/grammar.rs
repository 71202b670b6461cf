//! The shape of a trace: which fields it has, in which order, and what they mean.

use std::fmt;
use std::io::Read;

use serde_json::Value;

use super::error::{Fault, Problem, TraceError};
use super::reader::{At, Reader, Token, unexpected};
use super::{TraceSummary, TraceVisitor, value};
use crate::export::encode::sktrace::TRACE_VERSION;
use crate::model::Gvk;

/// The fields of a trace. The first two have to come before the others.
const TRACE_FIELDS: [&str; 5] = ["version", "config", "events", "index", "pod_lifecycles"];
/// The fields of an event, each to come before the next.
const EVENT_FIELDS: [&str; 3] = ["ts", "applied_objs", "deleted_objs"];

/// Reads one trace.
pub(super) struct Parser<'v, R, V> {
    reader: Reader<R>,
    visitor: &'v mut V,
    summary: TraceSummary,
    place: Place,
}

impl<'v, R: Read, V: TraceVisitor> Parser<'v, R, V> {
    pub(super) fn new(input: R, visitor: &'v mut V) -> Self {
        Self {
            reader: Reader::new(input),
            visitor,
            summary: TraceSummary::default(),
            place: Place::default(),
        }
    }

    pub(super) fn trace(mut self) -> Result<TraceSummary, TraceError<V::Error>> {
        match self.fields().and_then(|()| Ok(self.reader.end()?)) {
            Ok(()) => Ok(self.summary),
            Err(TraceError::Invalid(mut invalid)) => {
                invalid.place = self.place.to_string();
                Err(TraceError::Invalid(invalid))
            }
            Err(error) => Err(error),
        }
    }

    fn fields(&mut self) -> Result<(), TraceError<V::Error>> {
        let At { offset, value: len } = self.reader.fields("a trace")?;
        let mut fields = Fields::new(&TRACE_FIELDS);
        let mut config = None;
        for _ in 0..len {
            let Some(At { offset, value }) = fields.next(&mut self.reader)? else {
                continue;
            };
            self.place.section = value;
            match value {
                "version" => self.version()?,
                "config" => {
                    config = Some(value::map(&mut self.reader, "the config (a map)")?.value)
                }
                field => {
                    fields.need(offset, field, "version")?;
                    fields.need(offset, field, "config")?;
                    match field {
                        "events" => self.events()?,
                        "index" => self.index()?,
                        _ => self.lifecycles()?,
                    }
                }
            }
            // Not before the version is known to be right.
            if fields.has("version")
                && let Some(config) = config.take()
            {
                self.visitor
                    .config(Value::Object(config))
                    .map_err(TraceError::Visitor)?;
            }
            self.place = Place::default();
        }
        Ok(fields.complete(offset)?)
    }

    fn version(&mut self) -> Result<(), Fault> {
        let At {
            offset,
            value: found,
        } = self.reader.unsigned("the trace's version")?;
        if found == TRACE_VERSION {
            Ok(())
        } else {
            Err(Fault::at(offset, Problem::Version { found }))
        }
    }

    fn events(&mut self) -> Result<(), TraceError<V::Error>> {
        let At { value: len, .. } = self.reader.array("the array of events")?;
        for index in 0..len {
            self.place.event = Some(index);
            self.event()?;
            self.summary.events += 1;
        }
        Ok(())
    }

    fn event(&mut self) -> Result<(), TraceError<V::Error>> {
        let At { offset, value: len } = self.reader.fields("an event")?;
        let mut fields = Fields::new(&EVENT_FIELDS);
        for _ in 0..len {
            let Some(At { offset, value }) = fields.next(&mut self.reader)? else {
                continue;
            };
            match value {
                "ts" => self.event_ts()?,
                "applied_objs" => {
                    fields.need(offset, value, "ts")?;
                    self.objects(value, |parser| {
                        let object = value::object(&mut parser.reader)?;
                        parser.summary.applied += 1;
                        parser.visitor.applied(object).map_err(TraceError::Visitor)
                    })?;
                }
                _ => {
                    fields.need(offset, value, "ts")?;
                    fields.need(offset, value, "applied_objs")?;
                    self.objects(value, |parser| {
                        let object = value::object(&mut parser.reader)?;
                        parser.summary.deleted += 1;
                        parser.visitor.deleted(object).map_err(TraceError::Visitor)
                    })?;
                }
            }
        }
        fields.complete(offset)?;
        self.visitor.event_finished().map_err(TraceError::Visitor)
    }

    fn event_ts(&mut self) -> Result<(), TraceError<V::Error>> {
        let At {
            offset,
            value: ts_seconds,
        } = self
            .reader
            .integer("the event's ts (an integer of seconds)")?;
        let last_ts = self.summary.last_ts.replace(ts_seconds);
        if let Some(previous_seconds) = last_ts.filter(|previous| ts_seconds < *previous) {
            let problem = Problem::TimeWentBackwards {
                previous_seconds,
                ts_seconds,
            };
            return Err(Fault::at(offset, problem).into());
        }
        self.summary.first_ts.get_or_insert(ts_seconds);
        self.visitor
            .event_started(ts_seconds)
            .map_err(TraceError::Visitor)
    }

    fn objects(
        &mut self,
        list: &'static str,
        mut object: impl FnMut(&mut Self) -> Result<(), TraceError<V::Error>>,
    ) -> Result<(), TraceError<V::Error>> {
        let At { value: len, .. } = self.reader.array("an array of objects")?;
        for index in 0..len {
            self.place.object = Some((list, index));
            object(self)?;
        }
        self.place.object = None;
        Ok(())
    }

    fn index(&mut self) -> Result<(), TraceError<V::Error>> {
        let At { value: kinds, .. } = self.reader.map("the index (a map of kinds)")?;
        for _ in 0..kinds {
            let gvk = self.gvk()?;
            let At { value: len, .. } = self.reader.map("a map of names and hashes")?;
            for _ in 0..len {
                let At { value: name, .. } = self.reader.name("a name")?;
                let At { value: hash, .. } = self.reader.unsigned("a hash (an integer from 0)")?;
                self.summary.index_entries += 1;
                self.visitor
                    .index_entry(&gvk, &name, hash)
                    .map_err(TraceError::Visitor)?;
            }
        }
        Ok(())
    }

    fn lifecycles(&mut self) -> Result<(), TraceError<V::Error>> {
        const OWNER: &str = "an owner (an array of kind and name)";
        let At { value: owners, .. } = self.reader.map("the lifecycles (a map of owners)")?;
        for _ in 0..owners {
            let At { offset, value: len } = self.reader.array(OWNER)?;
            if len != 2 {
                return Err(unexpected(offset, OWNER, Token::Array(len)).into());
            }
            let gvk = self.gvk()?;
            let At { value: name, .. } = self.reader.name("the owner's name")?;
            let At { value: hashes, .. } = self.reader.map("a map of pod-spec hashes")?;
            for _ in 0..hashes {
                let At { value: hash, .. } = self
                    .reader
                    .unsigned("a pod-spec hash (an integer from 0)")?;
                let At { value: len, .. } = self.reader.array("an array of lifecycles")?;
                for _ in 0..len {
                    let Some((start_s, end_s)) = self.lifecycle()? else {
                        continue;
                    };
                    self.summary.lifecycles += 1;
                    self.visitor
                        .lifecycle(&gvk, &name, hash, start_s, end_s)
                        .map_err(TraceError::Visitor)?;
                }
            }
        }
        Ok(())
    }

    /// Start and end; `None` for a pod that never ran.
    fn lifecycle(&mut self) -> Result<Option<(i64, Option<i64>)>, Fault> {
        const LIFECYCLE: &str =
            r#"a lifecycle ("Empty", {"Running": start} or {"Finished": [start, end]})"#;
        const SECONDS: &str = "an integer of seconds";
        let At { offset, value } = self.reader.next(LIFECYCLE)?;
        let variant = match value {
            Token::Str(len) if len as usize == "Empty".len() => {
                let text = self.reader.text(offset, len, LIFECYCLE)?;
                if text == "Empty" {
                    return Ok(None);
                }
                return Err(unexpected_text(offset, LIFECYCLE, &text));
            }
            Token::Map(1) => self.reader.name(LIFECYCLE)?,
            found => return Err(unexpected(offset, LIFECYCLE, found)),
        };
        match variant.value.as_str() {
            "Running" => {
                let At { value: start_s, .. } = self.reader.integer(SECONDS)?;
                Ok(Some((start_s, None)))
            }
            "Finished" => {
                const TIMES: &str = "an array of start and end";
                let At { offset, value: len } = self.reader.array(TIMES)?;
                if len != 2 {
                    return Err(unexpected(offset, TIMES, Token::Array(len)));
                }
                let At { value: start_s, .. } = self.reader.integer(SECONDS)?;
                let At { value: end_s, .. } = self.reader.integer(SECONDS)?;
                if end_s < start_s {
                    let problem = Problem::LifecycleInverted { start_s, end_s };
                    return Err(Fault::at(offset, problem));
                }
                Ok(Some((start_s, Some(end_s))))
            }
            other => Err(unexpected_text(variant.offset, LIFECYCLE, other)),
        }
    }

    fn gvk(&mut self) -> Result<Gvk, Fault> {
        let At { offset, value } = self.reader.name("a kind (group/version.Kind)")?;
        value
            .parse()
            .map_err(|error| Fault::at(offset, Problem::Gvk(error)))
    }
}

#[cold]
fn unexpected_text(offset: u64, expected: &'static str, found: &str) -> Fault {
    let found = format!("the text {found:?}");
    Fault::at(offset, Problem::Unexpected { expected, found })
}

/// Which fields of a struct have been seen.
struct Fields {
    names: &'static [&'static str],
    /// The n-th bit: the n-th field was seen.
    seen: u32,
}

impl Fields {
    fn new(names: &'static [&'static str]) -> Self {
        Self { names, seen: 0 }
    }

    /// The name of the next field; an unknown one is skipped with its value and gives `None`.
    fn next<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<Option<At<&'static str>>, Fault> {
        let At { offset, value: key } = reader.name("a field name")?;
        let Some((bit, field)) = self.bits().find(|(_, name)| *name == key) else {
            reader.skip(1)?;
            return Ok(None);
        };
        if self.seen & bit != 0 {
            return Err(Fault::at(offset, Problem::RepeatedField { field }));
        }
        self.seen |= bit;
        Ok(Some(At {
            offset,
            value: field,
        }))
    }

    fn bits(&self) -> impl Iterator<Item = (u32, &'static str)> + use<> {
        self.names
            .iter()
            .enumerate()
            .map(|(index, name)| (1 << index, *name))
    }

    fn has(&self, field: &str) -> bool {
        self.bits()
            .any(|(bit, name)| name == field && self.seen & bit != 0)
    }

    /// Fails unless `needs` was seen before `field`, which stands at `offset`.
    fn need(&self, offset: u64, field: &'static str, needs: &'static str) -> Result<(), Fault> {
        if self.has(needs) {
            Ok(())
        } else {
            Err(Fault::at(offset, Problem::FieldOrder { field, needs }))
        }
    }

    /// Fails unless every field of the struct at `offset` was seen.
    fn complete(&self, offset: u64) -> Result<(), Fault> {
        match self.bits().find(|(bit, _)| self.seen & bit == 0) {
            None => Ok(()),
            Some((_, field)) => Err(Fault::at(offset, Problem::MissingField { field })),
        }
    }
}

/// Where in the trace the reader stands.
#[derive(Clone, Copy, Default)]
struct Place {
    section: &'static str,
    event: Option<u32>,
    object: Option<(&'static str, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.section)?;
        if let Some(event) = self.event {
            write!(f, "[{event}]")?;
        }
        if let Some((list, object)) = self.object {
            write!(f, ".{list}[{object}]")?;
        }
        Ok(())
    }
}
