//! A progress bar on stderr, where that is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::interrupt::{Interrupt, Interrupted};
use crate::store::{Progress, StoreError};

/// Shows how far long work has come, and stops it when a signal arrives.
pub(super) struct Bar {
    bar: ProgressBar,
    interrupt: Interrupt,
}

impl Bar {
    pub(super) fn new(interrupt: &Interrupt) -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            if std::io::stderr().is_terminal() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            interrupt: interrupt.clone(),
        }
    }

    /// To be told of progress.
    pub(super) fn update(&mut self, progress: Progress) -> bool {
        if progress.done == 0 {
            let template = if progress.total == 0 {
                "{msg} {spinner} {elapsed}"
            } else {
                "{msg} {wide_bar} {human_pos}/{human_len} {eta}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_length(progress.total);
            self.bar.set_message(progress.work);
        }
        self.bar.set_position(progress.done);
        self.interrupt.check().is_ok()
    }

    /// Takes the bar away. What was stopped by a signal says so.
    pub(super) fn finish<T>(self, result: Result<T, StoreError>) -> anyhow::Result<T> {
        self.bar.finish_and_clear();
        match result {
            Err(StoreError::Stopped) => Err(self.stopped()),
            other => Ok(other?),
        }
    }

    /// Prints a line on stderr, above the bar.
    pub(super) fn println(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub(super) fn clear(self) {
        self.bar.finish_and_clear();
    }

    fn stopped(&self) -> anyhow::Error {
        match self.interrupt.check() {
            Err(interrupted @ Interrupted { .. }) => interrupted.into(),
            Ok(()) => StoreError::Stopped.into(),
        }
    }
}
