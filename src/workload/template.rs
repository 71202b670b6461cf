//! Pod templates: what an application's pods look like, and what changes between two releases.

use serde_json::Value;

use super::app::{App, generated_name, word};
use super::json::{Fields, fields, list, object, text, time};
use super::rng::mix;
use crate::model::Timestamp;

const VARIABLES: [&str; 12] = [
    "UPSTREAM_URL",
    "REQUEST_TIMEOUT_MS",
    "SESSION_KEY",
    "LEDGER_URL",
    "CACHE_ENTRIES_MAX",
    "BUILD_REVISION",
    "EVENTS_URL",
    "WORKER_THREADS",
    "TRACE_SEED",
    "METRICS_URL",
    "RETRY_BUDGET",
    "TENANT_SALT",
];

/// A pod template. A changed field is a new revision; equal templates have equal pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) app: App,
    /// Counts the releases: the last number of the image's tag.
    pub(super) release: u32,
    /// How often an environment variable was edited, in turn.
    pub(super) variable_edits: u32,
    /// How often the resources were edited.
    pub(super) resource_edits: u32,
    /// `kubectl rollout restart`.
    pub(super) restarted: Option<Timestamp>,
    /// Whether its pods run to an end (Jobs, bare tasks) instead of serving.
    pub(super) task: bool,
}

impl Template {
    /// The first revision of an application that serves.
    pub(super) fn service(app: App) -> Self {
        Self {
            app,
            release: 0,
            variable_edits: 0,
            resource_edits: 0,
            restarted: None,
            task: false,
        }
    }

    /// The first revision of an application that runs to an end.
    pub(super) fn task(app: App) -> Self {
        Self {
            task: true,
            ..Self::service(app)
        }
    }

    /// The ten characters that name this revision: `pod-template-hash`.
    pub(super) fn hash_name(&self) -> String {
        let restarted = self.restarted.map_or(0, |at| at.as_seconds() as u64);
        let parts = [
            u64::from(self.app.number),
            u64::from(self.app.incarnation),
            u64::from(self.release),
            u64::from(self.variable_edits),
            u64::from(self.resource_edits),
            restarted,
        ];
        generated_name(parts.into_iter().fold(self.app.salt, mix), 10)
    }

    /// The image of the main container.
    pub(super) fn image(&self) -> String {
        format!(
            "registry.example.com/{}/{}:{}",
            self.app.team(),
            self.app.word(),
            self.tag()
        )
    }

    /// The image's tag.
    pub(super) fn tag(&self) -> String {
        format!("{}.{}", self.app.aspect(1) % 4 + 1, self.release)
    }

    /// Whether the pods have a proxy beside the main container.
    pub(super) fn has_sidecar(&self) -> bool {
        !self.task && self.app.aspect(2).is_multiple_of(6)
    }

    /// The template's labels: what selectors select by.
    pub(super) fn labels(&self) -> Fields {
        fields([
            ("app.kubernetes.io/name", text(self.app.word())),
            ("app.kubernetes.io/instance", text(self.app.name())),
            ("app.kubernetes.io/version", text(self.tag())),
        ])
    }

    /// The template's annotations.
    pub(super) fn annotations(&self) -> Fields {
        let mut annotations = fields([("prometheus.io/scrape", text("true"))]);
        if self.app.incarnation > 0 {
            let incarnation = self.app.incarnation.to_string();
            annotations.insert(
                "deploy.example.com/incarnation".to_owned(),
                text(incarnation),
            );
        }
        if let Some(restarted) = self.restarted {
            let name = "kubectl.kubernetes.io/restartedAt".to_owned();
            annotations.insert(name, time(restarted));
        }
        annotations
    }

    /// `.spec.template` of a controller, with further labels.
    pub(super) fn render(&self, more_labels: Fields) -> Value {
        let mut labels = self.labels();
        labels.extend(more_labels);
        object([
            (
                "metadata",
                object([
                    ("labels", Value::Object(labels)),
                    ("annotations", Value::Object(self.annotations())),
                ]),
            ),
            ("spec", Value::Object(self.pod_spec(None))),
        ])
    }

    /// The pod's spec; `access` is the name of the volume with the service account's token, which pods have and
    /// templates do not.
    pub(super) fn pod_spec(&self, access: Option<&str>) -> Fields {
        let mut containers = vec![self.main_container(access)];
        if self.has_sidecar() {
            containers.push(sidecar(access));
        }
        let mut volumes = vec![
            object([
                ("name", text("config")),
                (
                    "configMap",
                    object([("name", text(format!("{}-config", self.app.word())))]),
                ),
            ]),
            object([("name", text("scratch")), ("emptyDir", object([]))]),
        ];
        volumes.extend(access.map(access_volume));
        let grace_seconds = 30 + 15 * (self.app.aspect(3) % 3);
        let restart_policy = if self.task { "Never" } else { "Always" };
        let mut spec = fields([
            ("containers", Value::Array(containers)),
            ("volumes", Value::Array(volumes)),
            ("restartPolicy", text(restart_policy)),
            ("terminationGracePeriodSeconds", Value::from(grace_seconds)),
            ("dnsPolicy", text("ClusterFirst")),
            ("schedulerName", text("default-scheduler")),
            ("serviceAccountName", text(self.app.word())),
            ("securityContext", object([("fsGroup", Value::from(2_000))])),
        ]);
        if self.app.aspect(4).is_multiple_of(3) {
            let pool = word(&["general", "memory", "spot"], self.app.aspect(5));
            let selector = object([("pool.example.com/name", text(pool))]);
            spec.insert("nodeSelector".to_owned(), selector);
        }
        if access.is_some() {
            // The deprecated double, which the API server writes.
            let account = text(self.app.word());
            spec.insert("serviceAccount".to_owned(), account);
        }
        spec
    }

    fn main_container(&self, access: Option<&str>) -> Value {
        let mut mounts = vec![
            mount("config", "/etc/app", true),
            mount("scratch", "/var/tmp/app", false),
        ];
        mounts.extend(access.map(access_mount));
        let mut container = fields([
            ("name", text("app")),
            ("image", text(self.image())),
            ("imagePullPolicy", text("IfNotPresent")),
            (
                "args",
                list([text(format!("--shard={}", self.app.aspect(6) % 64))]),
            ),
            ("env", self.environment()),
            ("resources", self.resources()),
            ("volumeMounts", Value::Array(mounts)),
            ("terminationMessagePolicy", text("File")),
        ]);
        if !self.task {
            let probes = [
                ("livenessProbe", "/livez", 20),
                ("readinessProbe", "/readyz", 5),
            ];
            for (name, path, period_seconds) in probes {
                container.insert(name.to_owned(), probe(path, period_seconds));
            }
            container.insert("ports".to_owned(), list([port("http", 8_080)]));
        }
        Value::Object(container)
    }

    /// Five to seven variables; an edit changes the value of one of them.
    fn environment(&self) -> Value {
        let app = self.app;
        let count = 3 + app.aspect(7) % 3;
        let edits = u64::from(self.variable_edits);
        let mut variables: Vec<Value> = (0..count)
            .map(|index| {
                let edited = edits / count + u64::from(index < edits % count);
                let bits = mix(app.aspect(8 + index), edited);
                let value = match index % 3 {
                    0 => format!(
                        "https://{}.{}.svc:8443/v{}",
                        app.word(),
                        app.namespace_name(),
                        edited + 1
                    ),
                    1 => (bits % 10_000).to_string(),
                    _ => format!("{bits:016x}"),
                };
                let name = word(&VARIABLES, index);
                object([("name", text(name)), ("value", text(value))])
            })
            .collect();
        variables.push(object([
            ("name", text("POD_NAME")),
            (
                "valueFrom",
                object([("fieldRef", object([("fieldPath", text("metadata.name"))]))]),
            ),
        ]));
        variables.push(object([
            ("name", text("DATABASE_PASSWORD")),
            (
                "valueFrom",
                object([(
                    "secretKeyRef",
                    object([
                        ("name", text(format!("{}-database", app.word()))),
                        ("key", text("password")),
                    ]),
                )]),
            ),
        ]));
        Value::Array(variables)
    }

    fn resources(&self) -> Value {
        let step = u64::from(self.resource_edits);
        let cpu_millis = 100 + 50 * ((self.app.aspect(20) + step) % 12);
        let memory_mebi = 128 + 64 * ((self.app.aspect(21) + step) % 14);
        let amounts = |factor: u64| {
            object([
                ("cpu", text(format!("{}m", cpu_millis * factor))),
                ("memory", text(format!("{}Mi", memory_mebi * factor))),
            ])
        };
        object([("requests", amounts(1)), ("limits", amounts(2))])
    }
}

fn sidecar(access: Option<&str>) -> Value {
    let mut container = fields([
        ("name", text("proxy")),
        ("image", text("registry.example.com/mesh/proxy:1.29.3")),
        ("imagePullPolicy", text("IfNotPresent")),
        ("ports", list([port("mesh", 15_090)])),
        (
            "resources",
            object([("requests", object([("cpu", text("10m"))]))]),
        ),
        ("terminationMessagePolicy", text("File")),
    ]);
    if let Some(access) = access {
        let mounts = list([access_mount(access)]);
        container.insert("volumeMounts".to_owned(), mounts);
    }
    Value::Object(container)
}

fn port(name: &str, number: u32) -> Value {
    object([
        ("name", text(name)),
        ("containerPort", Value::from(number)),
        ("protocol", text("TCP")),
    ])
}

fn probe(path: &str, period_seconds: u32) -> Value {
    object([
        (
            "httpGet",
            object([("path", text(path)), ("port", text("http"))]),
        ),
        ("periodSeconds", Value::from(period_seconds)),
        ("failureThreshold", Value::from(3)),
    ])
}

fn mount(name: &str, path: &str, read_only: bool) -> Value {
    let mut mount = fields([("name", text(name)), ("mountPath", text(path))]);
    if read_only {
        mount.insert("readOnly".to_owned(), Value::Bool(true));
    }
    Value::Object(mount)
}

fn access_mount(access: &str) -> Value {
    mount(
        access,
        "/var/run/secrets/kubernetes.io/serviceaccount",
        true,
    )
}

/// The volume that the API server adds to every pod.
fn access_volume(name: &str) -> Value {
    let token = object([
        ("expirationSeconds", Value::from(3_607)),
        ("path", text("token")),
    ]);
    let authority = object([
        ("name", text("kube-root-ca.crt")),
        (
            "items",
            list([object([("key", text("ca.crt")), ("path", text("ca.crt"))])]),
        ),
    ]);
    object([
        ("name", text(name)),
        (
            "projected",
            object([
                ("defaultMode", Value::from(420)),
                (
                    "sources",
                    list([
                        object([("serviceAccountToken", token)]),
                        object([("configMap", authority)]),
                    ]),
                ),
            ]),
        ),
    ])
}
