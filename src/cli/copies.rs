//! Opening a store that may be a copy: it is checked as a whole before a row of it is believed. Where that takes long,
//! people are told what they are waiting for.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::output::bytes;
use crate::limits::CHECK_UNTOLD_MS_MAX;
use crate::store::{Reader, StoreError, allocated_bytes};

/// Opens a store for reading.
pub(super) fn open(path: &Path) -> Result<Reader, StoreError> {
    let mut notice = None;
    Reader::open_told(path, &mut |_| {
        notice.get_or_insert_with(|| Notice::of(path));
        true
    })
}

/// Says what is being done, unless it is done before long.
struct Notice {
    /// Dropped when it is done.
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Notice {
    fn of(path: &Path) -> Self {
        let size =
            allocated_bytes(path).map_or(String::new(), |size| format!(" ({})", bytes(size)));
        let text = format!(
            "checking {}{size}, which is a copy, or was not closed by its recorder: about a second for each GB",
            path.display()
        );
        let (done, wait) = channel();
        let after = Duration::from_millis(CHECK_UNTOLD_MS_MAX);
        let thread = std::thread::Builder::new().spawn(move || {
            if wait.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{text}");
            }
        });
        Self {
            done: Some(done),
            // Without a thread, nothing is said.
            thread: thread.ok(),
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
