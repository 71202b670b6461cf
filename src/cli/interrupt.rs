//! SIGINT and SIGTERM while a command works: it stops at the next write, cleans up, and says so with its exit code.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The work was stopped by a signal.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(super) struct Interrupted {
    signal: i32,
}

impl Interrupted {
    pub(super) fn name(self) -> &'static str {
        if self.signal == SIGINT {
            "SIGINT"
        } else {
            "SIGTERM"
        }
    }

    /// 128 and the signal's number, as a shell reports it.
    pub(super) fn exit_code(self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(u8::MAX)
    }
}

/// Whether a signal has arrived. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicI32>);

impl Interrupt {
    /// Listens from now on, for the rest of the process: the signals do not end it any more.
    pub(super) fn listen() -> io::Result<Self> {
        let arrived = Arc::new(AtomicI32::new(0));
        let store = Arc::clone(&arrived);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            use tokio::signal::unix::{SignalKind, signal};
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            )
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let signal = tokio::select! {
                        _ = interrupt.recv() => SIGINT,
                        _ = terminate.recv() => SIGTERM,
                    };
                    store.store(signal, Ordering::SeqCst);
                });
            })?;
        Ok(Self(arrived))
    }

    /// Fails once a signal has arrived.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted { signal }),
        }
    }

    /// An output that fails once a signal has arrived.
    pub(super) fn guard<W: Write>(&self, out: W) -> Guarded<W> {
        Guarded {
            out,
            interrupt: self.clone(),
        }
    }
}

/// See [`Interrupt::guard`].
pub(super) struct Guarded<W> {
    out: W,
    interrupt: Interrupt,
}

impl<W> Guarded<W> {
    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
