//! Guards what no hand-written scenario thinks of: an order of creations, gaps, restarts, relists and clock jumps after
//! which the store tells another story than what it was told. Random observations go to a real store and to a model of
//! the rules of product.md that keeps everything in plain lists; states, histories, exports, gaps and counters are
//! compared. `PROPTEST_CASES` sets the number of cases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod model_parts;
mod support;

use proptest::prelude::*;

use crate::model_parts::{Op, Play, op, pace};

/// Fewer than proptest's 256: each case commits to a real file.
const CASES: u32 = 64;

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(CASES)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_store_tells_what_the_rules_say(ops in proptest::collection::vec(op(), 1..90)) {
        let mut play = Play::begin();
        for op in &ops {
            play.carry_out(op);
        }
        play.carry_out(&Op::Look(0));
        play.carry_out(&Op::Restart { clean: true, config: 0 });
        play.carry_out(&Op::Look(1));
    }

    /// The rules do not know of epochs, so they must not show: however small they are, in however many pieces each is made,
    /// and wherever one was when the recorder crashed.
    #[test]
    fn epochs_that_follow_each_other_quickly_change_nothing(
        pace in pace(),
        ops in proptest::collection::vec(op(), 20..140),
    ) {
        let mut play = Play::begin_at_pace(pace);
        for op in &ops {
            play.carry_out(op);
        }
        play.carry_out(&Op::Look(0));
        play.carry_out(&Op::Restart { clean: false, config: 0 });
        play.carry_out(&Op::CatchUp);
        play.carry_out(&Op::Look(1));
        play.verify();
    }
}
