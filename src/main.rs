//! The `sk-tracedb` program: see [`sk_tracedb::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sk_tracedb::cli::main()
}
