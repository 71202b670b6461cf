//! The two sides of the stream pass: what is read and decoded on a thread of its own, and the output, which belongs to the
//! caller's thread.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use super::encode::sktrace::EncodeError;
use super::error::ExportError;
use super::sheet::{Decoders, Sheet, Stage, Wanted};
use crate::limits::{
    EXPORT_AHEAD_BYTES, EXPORT_AHEAD_MIN, EXPORT_ALONE_CURSORS_BYTES_MAX, EXPORT_ALONE_SHEET_BYTES,
    EXPORT_BESIDE_CURSORS_BYTES_MAX, EXPORT_BESIDE_SHEET_BYTES, EXPORT_SHEETS,
    EXPORT_SNAPSHOT_SECONDS_MAX, READ_TXN_MS_MAX,
};
use crate::model::Timestamp;
use crate::store::{Reader, Snapshot};

/// What memory an export may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    sheet_bytes: usize,
    cursors_bytes: usize,
}

impl Effort {
    /// Of a process that does nothing else.
    pub(super) const ALONE: Self = Self {
        sheet_bytes: EXPORT_ALONE_SHEET_BYTES,
        cursors_bytes: EXPORT_ALONE_CURSORS_BYTES_MAX,
    };
    /// Of a recorder that has more to do.
    pub(super) const BESIDE: Self = Self {
        sheet_bytes: EXPORT_BESIDE_SHEET_BYTES,
        cursors_bytes: EXPORT_BESIDE_CURSORS_BYTES_MAX,
    };
    /// Of one export at a time of a recorder.
    pub(super) const FIRST: Self = Self {
        sheet_bytes: EXPORT_BESIDE_SHEET_BYTES,
        cursors_bytes: EXPORT_ALONE_CURSORS_BYTES_MAX,
    };
}

/// Longest life of one read transaction.
pub(super) const STRETCH: Duration = Duration::from_millis(READ_TXN_MS_MAX);
/// The same of the plan's own, where nothing else keeps the rows: also while the output is waited for.
const HELD: Duration = Duration::from_secs(EXPORT_SNAPSHOT_SECONDS_MAX);

/// A filled sheet. Its memory goes back to the reading side when it is dropped.
pub(super) struct Piece {
    sheet: Sheet,
    used: Sender<Sheet>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.sheet.bytes()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The reading is over when nobody wants it back.
        let _ = self.used.send(std::mem::take(&mut self.sheet));
    }
}

/// Gives a sheet to a reading that waits for one when nobody takes another from it: those that were handed over may be kept
/// for long.
struct Ending(Sender<Sheet>);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.send(Sheet::default());
    }
}

/// Runs `read` on a thread of its own and gives the sheets that it hands over to `out`, in their order. There are no more than
/// [`EXPORT_SHEETS`]: with all of them in hand, `out` waits for the next one in vain.
pub(super) fn read_beside(
    effort: Effort,
    mut out: impl FnMut(Piece) -> io::Result<()>,
    read: impl FnOnce(Handover) -> Result<(), ExportError> + Send,
) -> Result<(), ExportError> {
    std::thread::scope(|scope| {
        let (used, blanks) = mpsc::channel();
        for _ in 0..EXPORT_SHEETS {
            // Its receiver lives in this very function.
            let _ = used.send(Sheet::new(effort.sheet_bytes));
        }
        // Dropped after `sheets`, also by a panic of `out`.
        let ending = Ending(used);
        let (filled, sheets) = mpsc::channel();
        let handover = Handover { filled, blanks };
        let reading = std::thread::Builder::new()
            .name("export".to_owned())
            .spawn_scoped(scope, move || read(handover))
            .map_err(ExportError::Thread)?;
        let written = sheets.iter().try_for_each(|sheet: Sheet| {
            let used = ending.0.clone();
            out(Piece { sheet, used })
        });
        // A reading that still goes on ends at its next sheet.
        drop(sheets);
        drop(ending);
        let read = match reading.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        written.map_err(EncodeError::Write)?;
        read
    })
}

/// The reading side's end of [`read_beside`].
pub(super) struct Handover {
    filled: Sender<Sheet>,
    blanks: Receiver<Sheet>,
}

/// The writer is gone; its own error tells why.
fn stopped<E>(_: E) -> ExportError {
    let error = io::Error::new(io::ErrorKind::BrokenPipe, "the output has failed");
    EncodeError::Write(error).into()
}

/// The store on one side and the output on the other, never held at once: a snapshot is given up before anybody waits for
/// the output, and taken anew when something is read.
pub(super) struct Reading<'a> {
    reader: &'a Reader,
    /// Start of the window: every snapshot must be complete from here on.
    start: Timestamp,
    current: Option<(Snapshot, Instant)>,
    /// How long a snapshot is used.
    stretch: Duration,
    stage: Stage,
    decoders: Decoders,
    handover: Handover,
    effort: Effort,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        reader: &'a Reader,
        held: Option<Snapshot>,
        start: Timestamp,
        effort: Effort,
        handover: Handover,
    ) -> Result<Self, ExportError> {
        let reading = Self {
            reader,
            start,
            stretch: if held.is_some() { HELD } else { STRETCH },
            current: held.map(|snapshot| (snapshot, Instant::now())),
            stage: Stage::default(),
            decoders: Decoders::new(effort.cursors_bytes)?,
            handover,
            effort,
        };
        let blank = reading.handover.blanks.recv().map_err(stopped)?;
        reading.stage.put(blank);
        Ok(reading)
    }

    /// What the encoder writes to.
    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// A snapshot that is young enough.
    pub(super) fn snapshot(&mut self) -> Result<&Snapshot, ExportError> {
        let fresh = self
            .current
            .take()
            .filter(|(_, taken)| taken.elapsed() < self.stretch);
        let current = match fresh {
            Some(current) => current,
            None => {
                self.stretch = STRETCH;
                let snapshot = self.reader.snapshot()?;
                let horizon = snapshot.horizon();
                if !horizon.allows(self.start) {
                    return Err(ExportError::Dropped {
                        start: self.start,
                        horizon: horizon.first_second(),
                    });
                }
                (snapshot, Instant::now())
            }
        };
        Ok(&self.current.insert(current).0)
    }

    /// The usual length of a sheet: with so many bytes, and what of one object is beyond, it is time to hand it over.
    pub(super) fn full_at(&self) -> usize {
        self.effort.sheet_bytes
    }

    /// How many objects may be read ahead: their places take a fraction of the memory for places.
    pub(super) fn ahead_max(&self) -> usize {
        self.effort.cursors_bytes / EXPORT_AHEAD_BYTES
    }

    /// Goes to the versions of objects that come next, as the store has them.
    pub(super) fn stand(&mut self, ahead: &[Wanted]) -> Result<(), ExportError> {
        let mut ahead = ahead.to_vec();
        ahead.sort_unstable_by_key(|wanted| (wanted.object, wanted.event));
        // Of a slow disk, no snapshot has to see all of them.
        for some in ahead.chunks(EXPORT_AHEAD_MIN) {
            self.snapshot()?;
            if let Some((snapshot, _)) = &self.current {
                self.decoders.stand(snapshot, some)?;
            }
        }
        Ok(())
    }

    pub(super) fn hand_over_when_full(&mut self) -> Result<(), ExportError> {
        if self.stage.used() >= self.full_at() {
            self.hand_over()
        } else {
            Ok(())
        }
    }

    /// Fills the sheet, if there is anything on it, and gives it to the writer. It is the last one.
    pub(super) fn finish(mut self) -> Result<(), ExportError> {
        if self.stage.used() > 0 {
            self.fill_and_send()?;
        }
        Ok(())
    }

    fn fill_and_send(&mut self) -> Result<(), ExportError> {
        let mut sheet = self.stage.take();
        self.snapshot()?;
        if let Some((snapshot, _)) = &self.current {
            sheet.fill(snapshot, &mut self.decoders)?;
        }
        self.handover.filled.send(sheet).map_err(stopped)
    }

    /// Fills the sheet, gives it to the writer and goes on with a blank one.
    pub(super) fn hand_over(&mut self) -> Result<(), ExportError> {
        self.fill_and_send()?;
        let mut blank = match self.handover.blanks.try_recv() {
            Ok(blank) => blank,
            Err(TryRecvError::Disconnected) => return Err(stopped(())),
            Err(TryRecvError::Empty) => {
                if self.stretch == STRETCH {
                    self.current = None;
                }
                self.handover.blanks.recv().map_err(stopped)?
            }
        };
        blank.clear(self.effort.sheet_bytes);
        self.stage.put(blank);
        Ok(())
    }
}
