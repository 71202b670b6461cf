//! `sk-tracedb record`.
/// Arguments of `record`.
#[derive(clap::Args, Debug)]
pub(super) struct RecordArgs {
    #[arg(short, long)]
    config_file: Option<String>,
    #[arg(long)]
    server_port: Option<u16>,
    #[arg(short, long)]
    verbosity: Option<String>,
}
/// Runs `record`.
pub(super) fn run(_: RecordArgs) -> anyhow::Result<()> {
    Ok(())
}
