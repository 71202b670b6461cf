//! Kinds as a person names them.

use std::str::FromStr;

use crate::model::Gvk;

/// kubectl's short names of built-in kinds.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("cj", "cronjob"),
    ("cm", "configmap"),
    ("crd", "customresourcedefinition"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("hpa", "horizontalpodautoscaler"),
    ("ing", "ingress"),
    ("limits", "limitrange"),
    ("netpol", "networkpolicy"),
    ("no", "node"),
    ("ns", "namespace"),
    ("pc", "priorityclass"),
    ("pdb", "poddisruptionbudget"),
    ("po", "pod"),
    ("pv", "persistentvolume"),
    ("pvc", "persistentvolumeclaim"),
    ("quota", "resourcequota"),
    ("rs", "replicaset"),
    ("sa", "serviceaccount"),
    ("sc", "storageclass"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

/// Names one kind, or one kind in several groups: `apps/v1.Deployment` as in the config, or as kubectl takes it:
/// `Deployment`, `deployments`, `deploy`, `deployments.apps`. Not case-sensitive, except in the first form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindMatch {
    /// As given.
    text: String,
    /// Lower-case kind, singular or plural.
    kind: String,
    /// API group, where one was named.
    group: Option<String>,
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no kind: expected Deployment, deployments.apps or apps/v1.Deployment")]
pub struct InvalidKindMatch {
    /// The text as given.
    pub text: String,
}

impl KindMatch {
    /// Whether a kind is meant.
    pub fn matches(&self, group: &str, kind: &str) -> bool {
        if self.group.as_ref().is_some_and(|wanted| wanted != group) {
            return false;
        }
        let kind = kind.to_ascii_lowercase();
        self.kind == kind || plurals(&kind).contains(&self.kind)
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The plurals that Kubernetes forms of a kind (`policy`, `policies`; `ingress`, `ingresses`; `pod`, `pods`).
fn plurals(kind: &str) -> Vec<String> {
    let mut plurals = vec![format!("{kind}s"), format!("{kind}es")];
    if let Some(stem) = kind.strip_suffix('y') {
        plurals.push(format!("{stem}ies"));
    }
    plurals
}

impl FromStr for KindMatch {
    type Err = InvalidKindMatch;

    fn from_str(text: &str) -> Result<Self, InvalidKindMatch> {
        let invalid = || InvalidKindMatch {
            text: text.to_owned(),
        };
        if let Ok(gvk) = text.parse::<Gvk>()
            && (text.contains('/') || looks_like_version(&gvk.version))
        {
            return Ok(Self {
                text: text.to_owned(),
                kind: gvk.kind.to_ascii_lowercase(),
                group: Some(gvk.group),
            });
        }
        let (kind, group) = match text.split_once('.') {
            Some((kind, group)) if !group.is_empty() => (kind, Some(group.to_ascii_lowercase())),
            Some(_) => return Err(invalid()),
            None => (text, None),
        };
        if kind.is_empty() || !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(invalid());
        }
        let lower = kind.to_ascii_lowercase();
        let full = SHORT_NAMES
            .iter()
            .find(|(short, _)| *short == lower)
            .map(|(_, full)| *full);
        Ok(Self {
            text: text.to_owned(),
            kind: full.unwrap_or(&lower).to_owned(),
            group,
        })
    }
}

/// `v1`, `v2beta1`.
fn looks_like_version(text: &str) -> bool {
    text.strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_kubectl_and_the_config_name_them() {
        let named = |text: &str, group: &str, kind: &str| {
            text.parse::<KindMatch>().unwrap().matches(group, kind)
        };
        for text in [
            "Deployment",
            "deployment",
            "deployments",
            "deploy",
            "deployments.apps",
            "apps/v1.Deployment",
        ] {
            assert!(named(text, "apps", "Deployment"), "{text}");
            assert!(!named(text, "apps", "DaemonSet"), "{text}");
        }
        assert!(named("v1.Pod", "", "Pod"));
        assert!(named("po", "", "Pod"));
        assert!(named(
            "networkpolicies",
            "networking.k8s.io",
            "NetworkPolicy"
        ));
        assert!(named("ing", "networking.k8s.io", "Ingress"));
        assert!(!named("deployments.extensions", "apps", "Deployment"));
        assert!(!named("v1.Deployment", "apps", "Deployment"));
    }

    #[test]
    fn what_names_no_kind_is_refused_by_name() {
        for text in ["", ".", "pods.", "a b", "/", "pod/x"] {
            assert_eq!(
                text.parse::<KindMatch>(),
                Err(InvalidKindMatch {
                    text: text.to_owned()
                }),
                "{text}"
            );
        }
    }
}
