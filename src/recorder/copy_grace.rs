//! Keeps the pages of recent commits for plain copies of the live file, while a recorder runs.

use tokio::time::{Instant, MissedTickBehavior};

use crate::store::CopyGrace;

/// Renews the pins until it is dropped.
pub(super) async fn keep(mut grace: CopyGrace) {
    let Some(interval) = grace.interval() else {
        return;
    };
    let began = Instant::now();
    let mut timer = tokio::time::interval(interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if let Err(error) = grace.tick(began.elapsed()) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "pages could not be kept for copies of the live file"
            );
        }
    }
}
