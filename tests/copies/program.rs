//! The program, run as a user would in a folder.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}
