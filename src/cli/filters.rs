//! Export filters, as arguments.

use clap::Args;

use super::exit::usage;
use crate::export::ExportFilters;
use crate::model::LabelSelector;
use crate::query::KindMatch;

/// What to leave out and what to keep. Excluding wins.
#[derive(Args, Debug)]
pub(super) struct FilterArgs {
    /// Leave out a namespace. Repeatable, or separated by commas.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    exclude_namespace: Vec<String>,

    /// Keep only these namespaces.
    #[arg(
        short = 'n',
        long = "namespace",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    include_namespace: Vec<String>,

    /// Leave out a kind: Deployment, deployments.apps or apps/v1.Deployment.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    exclude_kind: Vec<KindMatch>,

    /// Keep only these kinds.
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    include_kind: Vec<KindMatch>,

    /// Leave out what a label selector matches, written as for `kubectl -l`. Repeatable.
    #[arg(long, value_name = "SELECTOR")]
    exclude_selector: Vec<String>,

    /// Keep only what one of these label selectors matches.
    #[arg(short = 'l', long = "selector", value_name = "SELECTOR")]
    include_selector: Vec<String>,

    /// Keep cluster-scoped objects too. sk-driver 2.7 crashes on them.
    #[arg(long)]
    include_cluster_scoped: bool,
}

impl FilterArgs {
    pub(super) fn filters(&self) -> anyhow::Result<ExportFilters> {
        let selectors = |texts: &[String]| -> anyhow::Result<Vec<LabelSelector>> {
            texts
                .iter()
                .map(|text| LabelSelector::parse_query(text).map_err(usage))
                .collect()
        };
        Ok(ExportFilters {
            excluded_namespaces: self.exclude_namespace.clone(),
            included_namespaces: self.include_namespace.clone(),
            excluded_kinds: self.exclude_kind.clone(),
            included_kinds: self.include_kind.clone(),
            excluded_labels: selectors(&self.exclude_selector)?,
            included_labels: selectors(&self.include_selector)?,
            include_cluster_scoped: self.include_cluster_scoped,
        })
    }
}
