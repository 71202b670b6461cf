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

use crate::model_parts::{Op, Play, op};

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
}
