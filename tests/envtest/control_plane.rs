//! A real control plane on free loopback ports: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with RBAC,
//! an audit log and nothing faked but the nodes (see [`super::kubelet`]).
//!
//! Everything lives in one temporary folder and in child processes of this test; both go when [`ControlPlane`] is dropped.
//! The binaries come from the folder that `KUBEBUILDER_ASSETS` names (`.ci/build-envtest` builds and prints it). Where it is
//! not set, [`ControlPlane::start`] says so and returns `None`, and the test returns.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::audit::Truth;
use super::poll::eventually;
use super::process::Process;

/// The user that may do everything (group `system:masters`).
pub const ADMIN: &str = "admin";
/// A user without any right but those that a test gives with [`ControlPlane::allow`].
pub const RECORDER: &str = "recorder";

const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";

/// The longest that any part of the control plane takes to be ready on a busy machine.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// How long kube-apiserver gets between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(10);

/// Control planes that run at the same time in one test process: each costs up to a core while it starts.
const PLANES_MAX: u32 = 2;
static PLANES: Semaphore = Semaphore::const_new(PLANES_MAX as usize);

/// What a control plane consists of.
#[derive(Clone, Debug)]
pub struct Options {
    /// kube-apiserver's watch cache. Without it watches are served by etcd itself, and [`ControlPlane::compact_etcd`] alone
    /// makes older resource versions Gone.
    pub watch_cache: bool,
    /// Whether kube-controller-manager runs (deployments get their pods, namespaces finish terminating ...).
    pub controllers: bool,
    /// Whether kube-scheduler runs (pods are bound to the nodes that a [`super::kubelet::Kubelet`] joined).
    pub scheduler: bool,
    /// Users besides [`ADMIN`] and [`RECORDER`] that [`ControlPlane::kubeconfig_for`] knows, without any right.
    pub users: Vec<String>,
    /// Further flags of kube-apiserver. A flag that is given twice counts as given last.
    pub apiserver_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            watch_cache: true,
            controllers: true,
            scheduler: true,
            users: Vec::new(),
            apiserver_flags: Vec::new(),
        }
    }
}

/// A copy of etcd's data, to go back to with [`ControlPlane::restore_etcd`].
pub struct EtcdBackup {
    data: TempDir,
}

/// A running control plane. Dropping it kills its processes and removes its files.
pub struct ControlPlane {
    options: Options,
    assets: PathBuf,
    tokens: BTreeMap<String, String>,
    etcd_port: u16,
    apiserver_port: u16,
    // Dropped in this order: those who would complain about the others' end go first.
    scheduler: Option<Process>,
    controller_manager: Option<Process>,
    apiserver: Option<Process>,
    etcd: Option<Process>,
    dir: TempDir,
    _permit: Arc<SemaphorePermit<'static>>,
}

impl ControlPlane {
    /// Starts a whole control plane, or says why it is skipped.
    pub async fn start() -> Option<Self> {
        Self::start_with(Options::default()).await
    }

    /// [`start`](Self::start) with other parts.
    pub async fn start_with(options: Options) -> Option<Self> {
        Self::start_each(vec![options]).await?.pop()
    }

    /// Starts several control planes that have nothing in common: one cluster for each of the options, two at most.
    ///
    /// Together, because two tests that each hold one and wait for a second one would wait for ever.
    pub async fn start_each(options: Vec<Options>) -> Option<Vec<Self>> {
        let assets = assets()?;
        let count = u32::try_from(options.len()).unwrap();
        assert!(
            count <= PLANES_MAX,
            "at most {PLANES_MAX} control planes at the same time"
        );
        let permit = Arc::new(PLANES.acquire_many(count).await.unwrap());
        let mut planes = Vec::new();
        for options in options {
            planes.push(Self::launch(assets.clone(), options, Arc::clone(&permit)).await);
        }
        Some(planes)
    }

    async fn launch(
        assets: PathBuf,
        options: Options,
        permit: Arc<SemaphorePermit<'static>>,
    ) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            // Err when the code under test was first, with the same provider.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });

        let dir = TempDir::with_prefix("sk-tracedb-envtest-").unwrap();
        let users = [ADMIN, RECORDER, CONTROLLER_MANAGER, SCHEDULER]
            .into_iter()
            .chain(options.users.iter().map(String::as_str));
        let tokens: BTreeMap<String, String> = users
            .map(|user| {
                (
                    user.to_owned(),
                    format!("token-of-{}", user.replace(':', "-")),
                )
            })
            .collect();
        let mut lines = String::new();
        for (user, token) in &tokens {
            // controller-manager is in system:masters because its controllers do not use service accounts of their own here.
            let groups = match user.as_str() {
                ADMIN | CONTROLLER_MANAGER => ",system:masters",
                _ => "",
            };
            lines.push_str(&format!("{token},{user},{user}{groups}\n"));
        }
        fs::write(dir.path().join("tokens.csv"), lines).unwrap();
        fs::write(
            dir.path().join("audit-policy.json"),
            audit_policy().to_string(),
        )
        .unwrap();

        let mut plane = Self {
            options,
            assets,
            tokens,
            etcd_port: 0,
            apiserver_port: 0,
            scheduler: None,
            controller_manager: None,
            apiserver: None,
            etcd: None,
            dir,
            _permit: permit,
        };
        plane.start_etcd().await;
        plane.start_apiserver().await;
        plane.start_controllers().await;
        plane
    }

    /// The address of kube-apiserver.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver_port)
    }

    /// The folder of this control plane: logs, tokens, certificates, kubeconfigs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// kube-apiserver's process id, for instance to measure it. None while it is stopped.
    pub fn apiserver_pid(&self) -> Option<u32> {
        self.apiserver.as_ref().map(Process::id)
    }

    /// The independent record of what happened: kube-apiserver's audit log.
    pub fn truth(&self) -> Truth {
        Truth::new(self.dir.path().join("audit.log"))
    }

    /// Writes a kubeconfig file for a user and returns its path: [`ADMIN`], [`RECORDER`] or one of [`Options::users`].
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        let token = self
            .tokens
            .get(user)
            .unwrap_or_else(|| panic!("{user} is not in Options::users"));
        let path = self
            .dir
            .path()
            .join(format!("{}.kubeconfig", user.replace(':', "-")));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "envtest", "cluster": {
                "server": self.url(),
                "certificate-authority": self.dir.path().join("certs/apiserver.crt"),
            }}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": user}}],
            "current-context": "envtest",
        });
        // JSON is YAML.
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// A client that may do everything.
    pub async fn client(&self) -> Client {
        self.client_for(ADMIN).await
    }

    /// A client with the rights of `user`.
    pub async fn client_for(&self, user: &str) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig_for(user)).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }

    /// Lets `user` get, list and watch these resources (API group, plural) and no others, in the whole cluster.
    ///
    /// `("*", "*")` is everything; an empty list takes every right away. What was allowed before is replaced. Returns when
    /// kube-apiserver's own authorizer, which follows the roles with a delay, has come to know.
    pub async fn allow(&self, user: &str, resources: &[(&str, &str)]) {
        let client = self.client().await;
        let name = format!("envtest-{}", user.replace(':', "-"));
        // A URL that nobody serves and that only these rules allow: 404 instead of 403 says that they are in force.
        static GENERATION: AtomicU16 = AtomicU16::new(0);
        let marker = format!(
            "/envtest-rules/{}",
            GENERATION.fetch_add(1, Ordering::Relaxed)
        );
        let mut rules: Vec<Value> = resources
            .iter()
            .map(|(group, plural)| json!({"apiGroups": [group], "resources": [plural], "verbs": ["get", "list", "watch"]}))
            .collect();
        rules.push(json!({"nonResourceURLs": [marker], "verbs": ["get"]}));
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let params = PatchParams::apply("envtest").force();
        Api::<ClusterRole>::all(client.clone())
            .patch(&name, &params, &Patch::Apply(role))
            .await
            .unwrap();
        Api::<ClusterRoleBinding>::all(client)
            .patch(&name, &params, &Patch::Apply(binding))
            .await
            .unwrap();

        let limited = self.client_for(user).await;
        eventually(
            READY_DEADLINE,
            &format!("{user} has its new rights"),
            async || {
                let request = http::Request::get(&marker).body(Vec::new()).unwrap();
                match limited.request_text(request).await {
                    // Allowed, and there is nothing there.
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            },
        )
        .await;
    }

    /// Kills kube-apiserver (SIGKILL: connections break without a word). Requests fail until
    /// [`start_apiserver`](Self::start_apiserver).
    pub fn kill_apiserver(&mut self) {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.kill();
        }
    }

    /// Starts kube-apiserver at the same address as before, and waits until it is ready.
    pub async fn start_apiserver(&mut self) {
        assert!(self.apiserver.is_none(), "kube-apiserver is running");
        let flags = self.apiserver_flags();
        for attempt in 1.. {
            if self.apiserver_port == 0 {
                self.apiserver_port = free_port();
            }
            let mut args = flags.clone();
            args.insert(0, format!("--secure-port={}", self.apiserver_port));
            let mut process = self.spawn("kube-apiserver", &args);
            let admin_ready = eventually(READY_DEADLINE, "kube-apiserver is ready", async || {
                if process.ended().is_some() {
                    return Ok(false);
                }
                // The certificate is its own, written when it starts for the first time.
                if !self.dir.path().join("certs/apiserver.crt").exists() {
                    return Err("no certificate yet".to_owned());
                }
                let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
                let answer = self.client().await.request_text(request).await;
                answer.map(|_| true).map_err(|error| format!("{error:?}"))
            })
            .await;
            if admin_ready {
                self.apiserver = Some(process);
                return;
            }
            assert!(
                attempt < 3,
                "kube-apiserver does not stay up:\n{}",
                process.log_tail()
            );
            // Somebody was quicker with the port. At a restart the address must stay, so the same one is tried again.
            if self.controller_manager.is_none() && self.scheduler.is_none() {
                self.apiserver_port = 0;
            }
        }
    }

    /// Restarts kube-apiserver in an orderly way (SIGTERM), as an upgrade does: its watch cache forgets all history, so every
    /// watch from before the restart is Gone (410) for it.
    pub async fn restart_apiserver(&mut self) {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.terminate(TERM_GRACE);
        }
        self.start_apiserver().await;
    }

    /// Freezes kube-apiserver (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze_apiserver(&self) {
        self.apiserver.as_ref().unwrap().signal("STOP");
    }

    /// The end of [`freeze_apiserver`](Self::freeze_apiserver).
    pub fn thaw_apiserver(&self) {
        self.apiserver.as_ref().unwrap().signal("CONT");
    }

    /// Compacts etcd's history up to now and returns the revision: no resource version that anybody has seen up to here can be
    /// listed or watched from etcd any more. kube-apiserver's watch cache still has its own history until it is restarted, see
    /// [`forget_history`](Self::forget_history) and [`Options::watch_cache`].
    pub fn compact_etcd(&self) -> u64 {
        // The newest version can always be watched from, and it can be the one that somebody has: make a newer one. The
        // key is none of kube-apiserver's.
        let put = json!({"key": "ZW52dGVzdA==", "value": ""});
        self.etcd_call("/v3/kv/put", &put);
        let answer = self.etcd_call("/v3/kv/put", &put);
        let revision: u64 = answer["header"]["revision"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        self.etcd_call(
            "/v3/kv/compaction",
            &json!({"revision": revision.to_string(), "physical": true}),
        );
        revision
    }

    /// Makes every resource version of before Gone, with and without a watch cache: kube-apiserver is killed, etcd is compacted,
    /// kube-apiserver starts again. Returns the compacted revision.
    pub async fn forget_history(&mut self) -> u64 {
        self.kill_apiserver();
        let revision = self.compact_etcd();
        self.start_apiserver().await;
        revision
    }

    /// Copies etcd's data. The whole control plane stands still for it.
    pub async fn backup_etcd(&mut self) -> EtcdBackup {
        self.stop_all();
        let data = TempDir::with_prefix("sk-tracedb-envtest-backup-").unwrap();
        copy_folder(&self.dir.path().join("etcd"), data.path());
        self.start_all().await;
        EtcdBackup { data }
    }

    /// Goes back to a backup, as an administrator does after a disaster: resource versions go back, objects that were deleted
    /// since exist again, objects that were created since never existed.
    pub async fn restore_etcd(&mut self, backup: &EtcdBackup) {
        self.stop_all();
        fs::remove_dir_all(self.dir.path().join("etcd")).unwrap();
        copy_folder(backup.data.path(), &self.dir.path().join("etcd"));
        self.start_all().await;
    }

    fn stop_all(&mut self) {
        self.scheduler = None;
        self.controller_manager = None;
        self.apiserver = None;
        self.etcd = None;
    }

    async fn start_all(&mut self) {
        let port = self.apiserver_port;
        self.start_etcd().await;
        self.start_apiserver().await;
        assert_eq!(
            self.apiserver_port, port,
            "the address of kube-apiserver was taken by somebody else"
        );
        self.start_controllers().await;
    }

    async fn start_etcd(&mut self) {
        for attempt in 1.. {
            if self.etcd_port == 0 {
                self.etcd_port = free_port();
            }
            let client = format!("http://127.0.0.1:{}", self.etcd_port);
            // Nobody calls the only member of its cluster, so any port will do. auto-tls is there for the key that it makes:
            // kube-apiserver needs one to sign service account tokens with.
            let peer = "https://127.0.0.1:0";
            let args = [
                "--name=envtest".to_owned(),
                format!("--data-dir={}", self.dir.path().join("etcd").display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=envtest={peer}"),
                "--peer-auto-tls".to_owned(),
                "--unsafe-no-fsync".to_owned(),
                "--log-level=warn".to_owned(),
            ];
            let mut process = self.spawn("etcd", &args);
            let port = self.etcd_port;
            let healthy = eventually(READY_DEADLINE, "etcd is healthy", async || {
                if process.ended().is_some() {
                    return Ok(false);
                }
                match http_call(port, "GET", "/health", "") {
                    Ok(body) if body.contains("\"true\"") => Ok(true),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
            if healthy {
                self.etcd = Some(process);
                return;
            }
            assert!(
                attempt < 3,
                "etcd does not stay up:\n{}",
                process.log_tail()
            );
            self.etcd_port = 0;
        }
    }

    async fn start_controllers(&mut self) {
        if self.options.controllers {
            let args = [
                format!(
                    "--kubeconfig={}",
                    self.kubeconfig_for(CONTROLLER_MANAGER).display()
                ),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
                "--use-service-account-credentials=false".to_owned(),
                format!(
                    "--service-account-private-key-file={}",
                    self.service_account_key().display()
                ),
                // Nodes are played (no heartbeats): nobody may find them dead, taint them or evict their pods.
                "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller".to_owned(),
                "--kube-api-qps=500".to_owned(),
                "--kube-api-burst=1000".to_owned(),
            ];
            self.controller_manager = Some(self.spawn("kube-controller-manager", &args));
        }
        if self.options.scheduler {
            let args = [
                format!("--kubeconfig={}", self.kubeconfig_for(SCHEDULER).display()),
                format!(
                    "--authentication-kubeconfig={}",
                    self.kubeconfig_for(SCHEDULER).display()
                ),
                format!(
                    "--authorization-kubeconfig={}",
                    self.kubeconfig_for(SCHEDULER).display()
                ),
                "--authentication-tolerate-lookup-failure=true".to_owned(),
                "--leader-elect=false".to_owned(),
                "--secure-port=0".to_owned(),
                "--kube-api-qps=500".to_owned(),
                "--kube-api-burst=1000".to_owned(),
            ];
            self.scheduler = Some(self.spawn("kube-scheduler", &args));
        }
        if let Some(mut controllers) = self.controller_manager.take() {
            // Pods can be created from the moment that the service account they run as exists.
            let accounts = Api::<ServiceAccount>::namespaced(self.client().await, "default");
            eventually(
                READY_DEADLINE,
                "kube-controller-manager works",
                async || {
                    controllers.assert_running();
                    accounts
                        .get("default")
                        .await
                        .map(|_| ())
                        .map_err(|error| error.to_string())
                },
            )
            .await;
            self.controller_manager = Some(controllers);
        } else if self.options.scheduler || !self.options.controllers {
            // Without controllers nobody makes it, and pods would be refused.
            let accounts = Api::<ServiceAccount>::namespaced(self.client().await, "default");
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
            eventually(
                READY_DEADLINE,
                "the default service account exists",
                async || {
                    let apply = accounts
                        .patch(
                            "default",
                            &PatchParams::apply("envtest").force(),
                            &Patch::Apply(&account),
                        )
                        .await;
                    apply.map(|_| ()).map_err(|error| error.to_string())
                },
            )
            .await;
        }
    }

    fn service_account_key(&self) -> PathBuf {
        self.dir.path().join("etcd/fixtures/peer/key.pem")
    }

    fn apiserver_flags(&self) -> Vec<String> {
        let dir = self.dir.path().display();
        let key = self.service_account_key();
        let mut flags = vec![
            format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            // The endpoints of the kubernetes service may not be a loopback address.
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={dir}/certs"),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={dir}/tokens.csv"),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", key.display()),
            format!("--service-account-signing-key-file={}", key.display()),
            // It would taint each new node until the node lifecycle controller has seen it ready.
            "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
            format!("--audit-policy-file={dir}/audit-policy.json"),
            format!("--audit-log-path={dir}/audit.log"),
            "--audit-log-mode=blocking".to_owned(),
            "--audit-log-maxsize=0".to_owned(),
            format!("--watch-cache={}", self.options.watch_cache),
        ];
        flags.extend(self.options.apiserver_flags.iter().cloned());
        flags
    }

    fn spawn(&self, binary: &str, args: &[String]) -> Process {
        Process::spawn(
            &self.assets.join(binary),
            args,
            &self.dir.path().join(format!("{binary}.log")),
        )
    }

    fn etcd_call(&self, path: &str, body: &Value) -> Value {
        let answer = http_call(self.etcd_port, "POST", path, &body.to_string()).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

/// Writes go to the log whole; of reads only who asked for what, and not those of the control plane itself.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": ["system:apiserver", CONTROLLER_MANAGER, SCHEDULER], "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io"},
                {"group": "coordination.k8s.io"},
                {"group": "authentication.k8s.io"},
                {"group": "authorization.k8s.io"},
            ]},
            {"level": "RequestResponse", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "Metadata"},
        ],
    })
}

/// The folder with the binaries; None, and a line on stderr that the test harness does not capture, when there is none.
fn assets() -> Option<PathBuf> {
    let Some(dir) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty()) else {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("this test").to_owned();
        let line = format!(
            "{test}: skipped: KUBEBUILDER_ASSETS is not set (.ci/build-envtest builds it)\n"
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    };
    let dir = PathBuf::from(dir);
    for binary in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ] {
        assert!(
            dir.join(binary).is_file(),
            "KUBEBUILDER_ASSETS is {}, where there is no {binary}: run .ci/build-envtest",
            dir.display()
        );
    }
    Some(dir)
}

/// A port that nobody listens on, outside the range that the kernel gives to outgoing connections: it stays free while its
/// owner is restarted.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = (std::process::id() % 8_000) as u16;
    for _ in 0..8_000 {
        let port = 20_000 + (spread + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 28000");
}

/// One HTTP/1.0 request (so that the answer comes in one piece) to a loopback port. The body, or the reason why there is none.
fn http_call(port: u16, method: &str, path: &str, body: &str) -> Result<String, String> {
    let call = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = call().map_err(|error| error.to_string())?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no HTTP: {answer}"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(answer),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
