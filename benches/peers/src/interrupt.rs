//! Ctrl-C: temporary files, which may be large, are removed before the program ends. Its children get the same signal and
//! end by themselves; what is under way here asks [`check`].

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

/// Exit code of a program that was interrupted.
pub const EXIT_CODE: u8 = 130;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Takes over the signal. A second one ends the program at once.
pub fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    // Registered before this returns.
    let mut signals = runtime.block_on(async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
    })?;
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            while signals.recv().await.is_some() {
                if INTERRUPTED.swap(true, Ordering::SeqCst) {
                    std::process::exit(i32::from(EXIT_CODE));
                }
            }
        });
    })?;
    Ok(())
}

/// Whether it was interrupted.
pub fn happened() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails once it was interrupted.
pub fn check() -> Result<()> {
    ensure!(!happened(), "interrupted");
    Ok(())
}
