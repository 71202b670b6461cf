//! Benchmarks of sk-tracedb beside other stores, and the report of all benchmarks: `peers --help`.
//!
//! ```text
//! workload -> generate -> stream (a file) -> run (one subject, in a process of its own) -> stores --+
//!                                       |--> rates (the writer's thread) -> steady ------------------+--> result lines
//!                                       \--> codec (bodies alone) --------------------------------------+
//! sk-tracedb bench, benches/tracers ----------------------------------------------------------------+
//! result lines -> report -> docs/benchmarks.md                                        everything: all of it
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that meets what it did not expect fails"
)]

mod change;
mod cli;
mod codec;
mod compressed;
mod digest;
mod everything;
mod generate;
mod interrupt;
mod line;
mod rates;
mod report;
mod run;
mod steady;
mod stores;
mod stream;
mod subject;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if interrupt::happened() => ExitCode::from(interrupt::EXIT_CODE),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
