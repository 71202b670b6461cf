//! A stretch of a trace on its way from the encoder to the output.
//!
//! What stands around the objects (counts, times, names) follows from headers, and so do the objects' lengths. So a sheet
//! is laid out first, with a hole for each object, and then filled: by several threads at once, in the order that suits
//! the store, each body made where it will be written from.
//!
//! An output may block for as long as its receiver likes, and whoever blocks must not hold a snapshot: the pages that it
//! can see are not reused, and the file grows (X2). Sheets are memory: they are written while no snapshot is needed.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::encode::sktrace::check_object;
use super::error::ExportError;
use crate::limits::{EXPORT_BODIES_BYTES_MAX, EXPORT_HOLES_ALONE_MAX, EXPORT_PARTS, READ_THREADS};
use crate::model::EventKey;
use crate::store::Snapshot;
use crate::store::versions::{Places, Tools};

/// An object as it was after a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) object: u64,
    pub(super) event: EventKey,
    /// Length of its body, bytes.
    pub(super) body_len: u32,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Longer than what is used of it: what is left from before need not be cleared.
    bytes: Vec<u8>,
    used: usize,
    /// Where objects go, in rising order.
    holes: Vec<(usize, Wanted)>,
}

impl Sheet {
    /// One that usually holds so many bytes, and one object beyond.
    pub(super) fn new(usual_bytes: usize) -> Self {
        Self {
            // At first, pages that nobody writes to take no memory, and those that are written to were not cleared before.
            bytes: vec![0; usual_bytes + usual_bytes / 4],
            ..Self::default()
        }
    }

    /// The bytes of the trace, once it is filled.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// Makes it blank. Its memory is kept, unless a large object made it grow far beyond `usual_bytes`.
    pub(super) fn clear(&mut self, usual_bytes: usize) {
        self.used = 0;
        self.holes.clear();
        if self.bytes.len() > usual_bytes.saturating_mul(3) {
            self.bytes = Vec::new();
        }
    }

    /// Makes room for so many bytes and goes behind it. Returns where it is.
    fn take(&mut self, len: usize) -> std::ops::Range<usize> {
        let range = self.used..self.used + len;
        if self.bytes.len() < range.end {
            self.bytes.resize(range.end, 0);
        }
        self.used = range.end;
        range
    }

    /// Puts the objects into the holes.
    pub(super) fn fill(
        &mut self,
        snapshot: &Snapshot,
        decoders: &mut Decoders,
    ) -> Result<(), ExportError> {
        let mut parts: [Part<'_>; EXPORT_PARTS] = Default::default();
        let alone = self.holes.len() <= EXPORT_HOLES_ALONE_MAX;
        let mut rest = self.bytes.as_mut_slice();
        let mut at = 0;
        for (from, wanted) in self.holes.drain(..) {
            let (_, behind) = rest.split_at_mut(from - at);
            let (hole, behind) = behind.split_at_mut(wanted.body_len as usize);
            at = from + hole.len();
            rest = behind;
            if let Some(part) = parts.get_mut(part_of(wanted.object)) {
                part.push((wanted, hole));
            }
        }
        decoders.for_each_part(parts, alone, |places, tools, part| {
            fill_part(snapshot, places, tools, part)
        })
    }
}

/// Holes for objects of one part.
type Part<'a> = Vec<(Wanted, &'a mut [u8])>;

/// Ids that are in one part: neighbours are packed together.
const RUN: u64 = 32;

fn part_of(object: u64) -> usize {
    (object / RUN % EXPORT_PARTS as u64) as usize
}

fn fill_part(
    snapshot: &Snapshot,
    places: &mut Places,
    tools: &mut Tools,
    mut part: Part<'_>,
) -> Result<(), ExportError> {
    // As the store has them: what is packed together is unpacked once.
    part.sort_unstable_by_key(|(wanted, _)| (wanted.object, wanted.event));
    for (wanted, hole) in part {
        places.body(snapshot.tables(), wanted.object, wanted.event, hole, tools)?;
        check_object(hole)?;
    }
    Ok(())
}

/// What is remembered of each part of the objects from sheet to sheet, and the tools of each decoding thread.
pub(super) struct Decoders {
    places: [Places; EXPORT_PARTS],
    tools: [Tools; READ_THREADS],
    /// All threads but the one that asks. They stay for all sheets: to start them for each took a tenth of an export's time.
    threads: ThreadPool,
}

impl Decoders {
    /// Decoders that remember so many bytes of places all together.
    ///
    /// # Errors
    /// [`ExportError::Thread`].
    pub(super) fn new(cursors_bytes: usize) -> Result<Self, ExportError> {
        let part = |bytes: usize| bytes / EXPORT_PARTS;
        // None would mean as many as there are processors.
        const { assert!(READ_THREADS > 1) };
        let threads = ThreadPoolBuilder::new()
            .num_threads(READ_THREADS - 1)
            .thread_name(|_| "export bodies".to_owned())
            .build()
            .map_err(|error| ExportError::Thread(io::Error::other(error)))?;
        Ok(Self {
            places: std::array::from_fn(|_| {
                Places::new(part(cursors_bytes), part(EXPORT_BODIES_BYTES_MAX))
            }),
            tools: Default::default(),
            threads,
        })
    }

    /// Goes to the versions of many objects, which come in the order in which the store has them, before they are wanted in
    /// another.
    pub(super) fn stand(
        &mut self,
        snapshot: &Snapshot,
        ahead: &[Wanted],
    ) -> Result<(), ExportError> {
        let mut parts: [Vec<Wanted>; EXPORT_PARTS] = Default::default();
        for wanted in ahead {
            if let Some(part) = parts.get_mut(part_of(wanted.object)) {
                part.push(*wanted);
            }
        }
        self.for_each_part(parts, false, |places, tools, part| {
            for Wanted { object, event, .. } in part {
                places.stand(snapshot.tables(), object, event, tools)?;
            }
            Ok(())
        })
    }

    /// Calls `work` with every part; each thread takes the next one when it is done. `alone`: on this thread.
    fn for_each_part<T: Send>(
        &mut self,
        parts: [Vec<T>; EXPORT_PARTS],
        alone: bool,
        work: impl Fn(&mut Places, &mut Tools, Vec<T>) -> Result<(), ExportError> + Sync,
    ) -> Result<(), ExportError> {
        let mut parts: Vec<_> = parts.into_iter().zip(&mut self.places).collect();
        // Those with most to do first: what is left at the end is little.
        parts.sort_by_key(|(part, _)| Reverse(part.len()));
        let parts = Mutex::new(parts.into_iter());
        let thread = |tools: &mut Tools| {
            loop {
                let next = parts.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((part, places)) = next else {
                    return Ok(());
                };
                work(places, tools, part)?;
            }
        };
        let [own, others @ ..] = &mut self.tools;
        if alone {
            return thread(own);
        }
        let mut results: [_; READ_THREADS] = std::array::from_fn(|_| Ok(()));
        let [result, rest @ ..] = &mut results;
        let thread = &thread;
        self.threads.in_place_scope(|scope| {
            for (tools, result) in others.iter_mut().zip(rest) {
                scope.spawn(move |_| *result = thread(tools));
            }
            *result = thread(own);
        });
        results.into_iter().collect()
    }
}

/// The encoder's end: the sheet that is being laid out. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub(super) struct Stage(Rc<RefCell<Sheet>>);

impl Stage {
    /// How much has been laid out, bytes.
    pub(super) fn used(&self) -> usize {
        self.0.borrow().used
    }

    /// Leaves a hole for an object.
    pub(super) fn leave(&self, wanted: Wanted) {
        let sheet = &mut *self.0.borrow_mut();
        let hole = sheet.take(wanted.body_len as usize);
        sheet.holes.push((hole.start, wanted));
    }

    /// Takes the sheet away; a blank one is there afterwards.
    pub(super) fn take(&self) -> Sheet {
        self.0.take()
    }

    /// Goes on with another sheet.
    pub(super) fn put(&self, sheet: Sheet) {
        self.0.replace(sheet);
    }
}

impl Write for Stage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sheet = &mut *self.0.borrow_mut();
        let range = sheet.take(bytes.len());
        if let Some(to) = sheet.bytes.get_mut(range) {
            to.copy_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
