//! Where the API server keeps a kind: its plural and its scope, asked for one group version at a time, so that a
//! broken API group affects only its own kinds (R15).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::server::{OBJECTS, RequestError, Server};
use crate::limits::{DISCOVERY_BYTES_MAX, DISCOVERY_GROUPS_MAX};
use crate::model::Gvk;

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Path of the group version, such as `/apis/apps/v1`.
    root: String,
    /// Name in URLs, such as `deployments`.
    plural: String,
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
}

impl Resource {
    /// Path of all objects of the kind.
    pub(super) fn collection(&self) -> String {
        format!("{}/{}", self.root, self.plural)
    }

    /// Path of one object; `None` where no object can have such a name: names come from owner references, which
    /// nobody validates.
    pub(super) fn object(&self, namespace: &str, name: &str) -> Option<String> {
        let name = path_segment(name)?;
        if self.namespaced {
            let namespace = path_segment(namespace)?;
            Some(format!(
                "{}/namespaces/{namespace}/{}/{name}",
                self.root, self.plural
            ))
        } else {
            Some(format!("{}/{}/{name}", self.root, self.plural))
        }
    }
}

/// The kinds of one group version.
type Kinds = BTreeMap<String, Resource>;
/// What the server said of a group version: its kinds, none at all, or that it cannot tell.
type Answer = Result<Arc<Kinds>, Arc<RequestError>>;

/// Asks the API server what it serves. Callers that ask for one group version at the same time share one request.
pub(super) struct Discovery {
    server: Server,
    groups: Mutex<BTreeMap<String, Arc<Group>>>,
}

#[derive(Default)]
struct Group {
    /// When the last answer came, and what it was.
    answered: tokio::sync::Mutex<Option<(Instant, Answer)>>,
}

impl Discovery {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
            groups: Mutex::default(),
        }
    }

    /// Looks a kind up; `None`: the server does not serve it. An answer of at most this age is believed; with an age
    /// of zero one that came while waiting for it.
    pub(super) async fn lookup(
        &self,
        gvk: &Gvk,
        age_max: Duration,
    ) -> Result<Option<Resource>, Arc<RequestError>> {
        let Some(root) = root(gvk) else {
            return Ok(None);
        };
        let asked = Instant::now();
        let group = self.group(&root);
        let mut answered = group.answered.lock().await;
        if let Some((at, answer)) = answered.as_ref() {
            let fresh = *at >= asked || (answer.is_ok() && at.elapsed() < age_max);
            if fresh {
                return find(answer, gvk);
            }
        }
        let answer = self.ask(&root).await;
        let found = find(&answer, gvk);
        *answered = Some((Instant::now(), answer));
        found
    }

    /// The other versions in which the server has a kind's group, the preferred one first.
    pub(super) async fn other_versions(&self, gvk: &Gvk) -> Result<Vec<Gvk>, RequestError> {
        #[derive(Deserialize)]
        struct ApiGroup {
            #[serde(default)]
            versions: Vec<Version>,
        }
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        // The core group has had one version for ever.
        let Some(group) = path_segment(&gvk.group) else {
            return Ok(Vec::new());
        };
        let path = format!("/apis/{group}");
        let bytes = match self
            .server
            .fetch_small(&path, OBJECTS, DISCOVERY_BYTES_MAX)
            .await
        {
            Err(error) if error.code() == Some(404) => return Ok(Vec::new()),
            answer => answer?,
        };
        let group: ApiGroup = serde_json::from_slice(&bytes)
            .map_err(|error| RequestError::garbled("an API group", &error))?;
        const VERSIONS_MAX: usize = 8;
        Ok(group
            .versions
            .into_iter()
            .filter(|found| found.version != gvk.version)
            .take(VERSIONS_MAX)
            .map(|found| Gvk::new(gvk.group.clone(), found.version, gvk.kind.clone()))
            .collect())
    }

    fn group(&self, root: &str) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(root) {
            return Arc::clone(group);
        }
        if groups.len() >= DISCOVERY_GROUPS_MAX {
            // Only owner references can name so many; asking again costs a request.
            groups.pop_first();
        }
        Arc::clone(groups.entry(root.to_owned()).or_default())
    }

    async fn ask(&self, root: &str) -> Answer {
        #[derive(Deserialize)]
        struct ResourceList {
            resources: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            name: String,
            kind: String,
            namespaced: bool,
        }
        let bytes = match self
            .server
            .fetch_small(root, OBJECTS, DISCOVERY_BYTES_MAX)
            .await
        {
            Err(error) if error.code() == Some(404) => return Ok(Arc::default()),
            answer => answer.map_err(Arc::new)?,
        };
        let list: ResourceList = serde_json::from_slice(&bytes).map_err(|error| {
            Arc::new(RequestError::garbled(
                "a list of the resources of a group version",
                &error,
            ))
        })?;
        let mut kinds = Kinds::new();
        for entry in list.resources {
            // Subresources, such as `deployments/scale`, have kinds of their own.
            if entry.name.contains('/') {
                continue;
            }
            let Some(plural) = path_segment(&entry.name) else {
                continue;
            };
            kinds.entry(entry.kind).or_insert(Resource {
                root: root.to_owned(),
                plural,
                namespaced: entry.namespaced,
            });
        }
        Ok(Arc::new(kinds))
    }
}

fn find(answer: &Answer, gvk: &Gvk) -> Result<Option<Resource>, Arc<RequestError>> {
    match answer {
        Ok(kinds) => Ok(kinds.get(&gvk.kind).cloned()),
        Err(error) => Err(Arc::clone(error)),
    }
}

/// Path of a group version; `None` where there can be no such.
fn root(gvk: &Gvk) -> Option<String> {
    let version = path_segment(&gvk.version)?;
    if gvk.group.is_empty() {
        Some(format!("/api/{version}"))
    } else {
        Some(format!("/apis/{}/{version}", path_segment(&gvk.group)?))
    }
}

/// A name as one segment of a path; `None` for what Kubernetes accepts as no name.
fn path_segment(name: &str) -> Option<String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) {
        return None;
    }
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(segment)
}

#[cfg(test)]
mod tests {
    //! Guards against an owner reference, which users write, leading a look-up to another path of the API.

    use super::*;

    #[test]
    fn names_that_no_object_has_lead_nowhere() {
        let resource = Resource {
            root: "/apis/apps/v1".into(),
            plural: "deployments".into(),
            namespaced: true,
        };
        assert_eq!(
            resource.object("default", "web").as_deref(),
            Some("/apis/apps/v1/namespaces/default/deployments/web")
        );
        for (namespace, name) in [
            ("", "web"),
            ("default", ""),
            ("default", ".."),
            ("..", "web"),
            ("default", "a/b"),
            ("default", "%2e%2e"),
        ] {
            assert_eq!(resource.object(namespace, name), None, "{namespace} {name}");
        }
        assert_eq!(
            resource.object("default", "a?b#c d").as_deref(),
            Some("/apis/apps/v1/namespaces/default/deployments/a%3Fb%23c%20d")
        );
        assert_eq!(root(&Gvk::new("..", "v1", "X")), None);
        assert_eq!(root(&Gvk::new("", "v1/../..", "X")), None);
        assert_eq!(root(&Gvk::pod()).as_deref(), Some("/api/v1"));
    }
}
