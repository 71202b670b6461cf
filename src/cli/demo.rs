//! `sk-tracedb demo`.
/// Arguments of `demo`.
#[derive(clap::Args, Debug)]
pub(super) struct DemoArgs {}
/// Runs `demo`.
pub(super) fn run(_: &DemoArgs) -> anyhow::Result<()> {
    Ok(())
}
