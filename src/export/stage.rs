//! Bytes between the reading and the writing of an export.
//!
//! An output may block for as long as its receiver likes, and whoever blocks must not hold a snapshot: the pages that it
//! can see are not reused, and the file grows (X2). So what is encoded goes to memory first, and from there to the output
//! while no snapshot is held.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use crate::limits::EXPORT_STAGE_BYTES;

/// The encoder's end: memory. Cheap to clone; clones share their bytes.
#[derive(Clone, Default)]
pub(super) struct Stage(Rc<RefCell<Vec<u8>>>);

impl Stage {
    /// Whether it is time to write: it holds [`EXPORT_STAGE_BYTES`], or one object more.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().len() >= EXPORT_STAGE_BYTES
    }

    /// Writes what it holds. Call while no snapshot is held.
    pub(super) fn empty_into(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.0.take();
        out.write_all(&bytes)?;
        // The allocation is used again.
        bytes.clear();
        self.0.replace(bytes);
        Ok(())
    }
}

impl Write for Stage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
