//! The recorder as its users run it: the program, its config file, its database file, its HTTP port.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use sk_tracedb::Reader;
use sk_tracedb::query::Info;
use tempfile::TempDir;

use super::control_plane::{ControlPlane, RECORDER, free_port};
use super::objects::apply;
use super::poll::eventually;
use super::process::Process;
use super::support::Trace;

/// Longest that a recorder takes to be ready on a busy machine. A quiet kind that resumes takes about 10 s: it has caught up when
/// the API server sends a bookmark.
pub const READY: Duration = Duration::from_secs(60);
/// Longest that a recorder takes to stop when it is told to.
const STOP: Duration = Duration::from_secs(15);

const PROGRAM: &str = env!("CARGO_BIN_EXE_sk-tracedb");

/// A recorder, running or not. Dropping it kills it and removes its files.
pub struct Recorder {
    kubeconfig: PathBuf,
    port: u16,
    process: Option<Process>,
    folder: TempDir,
}

impl Recorder {
    /// A recorder of a cluster with the rights of the user [`RECORDER`], not started. `entries` are those of the config's
    /// `trackedObjects`, in YAML, one a line.
    pub fn of(plane: &ControlPlane, entries: &[&str]) -> Self {
        let recorder = Self {
            kubeconfig: plane.kubeconfig_for(RECORDER),
            port: free_port(),
            process: None,
            folder: TempDir::with_prefix("sk-tracedb-recorder-").unwrap(),
        };
        recorder.configure(entries);
        recorder
    }

    /// Gives the recorder what README.md asks for, and not more: these resources (API group, plural), pods, the kinds that
    /// own them, and a look at the namespace kube-system.
    pub async fn permit(plane: &ControlPlane, resources: &[(&str, &str)]) {
        let client = plane.client().await;
        let name = "recorder-cluster-id";
        let group = "rbac.authorization.k8s.io";
        let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": name}, "rules": [
            {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
        ]});
        let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": RECORDER}],
        });
        apply(&client, &role).await;
        apply(&client, &binding).await;
        let mut all = vec![("", "pods"), ("apps", "replicasets"), ("batch", "jobs")];
        all.extend_from_slice(resources);
        plane.allow(RECORDER, &all).await;
    }

    /// Replaces the config. It counts from the next start.
    pub fn configure(&self, entries: &[&str]) {
        let config = format!("trackedObjects:\n  {}\n", entries.join("\n  "));
        fs::write(self.path("tracer-config.yml"), config).unwrap();
    }

    /// The database file.
    pub fn db(&self) -> PathBuf {
        self.path("trace.redb")
    }

    /// Takes another database file along: that of a recorder that is not running.
    pub fn take_db_of(&self, other: &Self) {
        fs::copy(other.db(), self.db()).unwrap();
    }

    /// Starts it.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the recorder is running");
        let args = [
            "record",
            "-c",
            self.path("tracer-config.yml").to_str().unwrap(),
            "--db",
            self.db().to_str().unwrap(),
            "--server-port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "-v",
            "info",
        ]
        .map(str::to_owned);
        self.process = Some(Process::spawn_with(
            Path::new(PROGRAM),
            &args,
            &[("KUBECONFIG", &self.kubeconfig)],
            &self.path("recorder.log"),
        ));
    }

    /// Starts it, and waits until it is ready. Returns what `/readyz` says.
    pub async fn start_ready(&mut self) -> String {
        self.start();
        self.ready().await
    }

    /// Waits until it is ready. Returns what `/readyz` says.
    pub async fn ready(&mut self) -> String {
        let mut process = self.process.take().unwrap();
        let text = eventually(READY, "the recorder is ready", async || {
            process.assert_running();
            match self.get("/readyz") {
                Ok((200, body)) => Ok(body),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        self.process = Some(process);
        text
    }

    /// Waits until `/readyz` says something (whatever its status).
    pub async fn readyz_says(&self, what: &str, deadline: Duration) -> String {
        eventually(
            deadline,
            &format!("/readyz says {what:?}"),
            async || match self.get("/readyz") {
                Ok((_, body)) if body.contains(what) => Ok(body),
                other => Err(format!("{other:?}")),
            },
        )
        .await
    }

    /// Waits until every owner that something refers to is known: those that are not tracked are looked up within a second or
    /// two, and an owner that is gone by then is not found.
    pub async fn knows_owners(&self) {
        eventually(READY, "all owners are known", async || {
            match self.info().wanted_owners {
                0 => Ok(()),
                wanted => Err(format!("{wanted} are not")),
            }
        })
        .await;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// SIGTERM, and waits for its end, which has to be a good one.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal("TERM");
        let status = process.wait(STOP);
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "{status:?}:\n{}",
            process.log_tail()
        );
    }

    /// Waits for it to end by itself. Returns its exit code and the end of its log.
    pub async fn ended(&mut self) -> (Option<i32>, String) {
        let mut process = self.process.take().unwrap();
        let status = eventually(READY, "the recorder ends by itself", async || {
            process.ended().ok_or_else(|| process.log_tail())
        })
        .await;
        (status.code(), process.log_tail())
    }

    /// Everything that it has logged since it was made.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("recorder.log")).unwrap_or_default()
    }

    /// Reads its file, as another process may at any time.
    pub fn reader(&self) -> Result<Reader, String> {
        Reader::open(self.db()).map_err(|error| error.to_string())
    }

    /// What its file holds. One that was not closed is read aside, which its next recorder breaks off by its first write, and
    /// says so: then it is opened again.
    pub fn info(&self) -> Info {
        let mut opened = 0;
        loop {
            let snapshot = self.reader().unwrap().snapshot();
            match snapshot.and_then(|snapshot| snapshot.info()) {
                Ok(info) => return info,
                Err(error) if opened < 3 && error.to_string().contains("open it again") => {
                    opened += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A window over HTTP, as skctl asks for it.
    pub fn export(&self, start: i64, end: i64) -> Vec<u8> {
        let body = json!({"start_ts": start, "end_ts": end, "export_path": "file:///tmp/t.sktrace",
            "filters": {"excluded_namespaces": [], "excluded_labels": []}});
        let (code, bytes) = self.http("POST", "/export", &body.to_string()).unwrap();
        assert_eq!(code, 200, "{}", String::from_utf8_lossy(&bytes));
        bytes
    }

    /// The same window with `sk-tracedb export` from a copy of the file, made while the recorder may be writing it.
    pub async fn export_offline(&self, start: i64, end: i64) -> Vec<u8> {
        let copy = self.path("copy.redb");
        eventually(STOP, "a copy of the file can be exported", async || {
            // A copy that is torn is refused, not believed: then another one.
            fs::copy(self.db(), &copy).map_err(|error| error.to_string())?;
            let out = std::process::Command::new(PROGRAM)
                .args([
                    "export",
                    "--start",
                    &start.to_string(),
                    "--end",
                    &end.to_string(),
                    "-o",
                    "-",
                    "--db",
                ])
                .arg(&copy)
                .env_remove("KUBECONFIG")
                .output()
                .unwrap();
            if out.status.success() {
                Ok(out.stdout)
            } else {
                Err(String::from_utf8_lossy(&out.stderr).into_owned())
            }
        })
        .await
    }

    /// The trace of a window, decoded; over HTTP and from a copy it has the same bytes, once what happened in it is recorded.
    pub async fn trace(&self, start: i64, end: i64) -> Trace {
        let bytes = eventually(STOP, "both exports have the same bytes", async || {
            let bytes = self.export(start, end);
            let offline = self.export_offline(start, end).await;
            if bytes == offline {
                Ok(bytes)
            } else {
                Err(format!(
                    "{} bytes over HTTP, {} offline",
                    bytes.len(),
                    offline.len()
                ))
            }
        })
        .await;
        Trace::decode(&bytes)
    }

    fn get(&self, path: &str) -> Result<(u16, String), String> {
        let (code, body) = self.http("GET", path, "")?;
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    }

    fn http(&self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>), String> {
        let ask = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(STOP))?;
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.port,
                body.len()
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().map_err(|error| error.to_string())?;
        let head = answer
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .ok_or("no HTTP")?;
        let (head, body) = (&answer[..head], &answer[head + 4..]);
        let head = String::from_utf8_lossy(head).to_lowercase();
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = if head.contains("transfer-encoding: chunked") {
            chunked(body).ok_or("the answer broke off")?
        } else {
            body.to_vec()
        };
        Ok((code.ok_or("no status")?, body))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if std::thread::panicking() && self.process.is_none() {
            eprintln!("--- the recorder's log:\n{}", self.log());
        }
    }
}

/// The body of a chunked answer; None where its end is missing.
fn chunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let length = std::str::from_utf8(rest.get(..line)?).ok()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        rest = rest.get(line + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// This moment, as the audit log and the record count it: microseconds since the Unix epoch.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// The window from here to the end of the present second, and after it: what an export has to end with to hold everything.
pub fn second_after_now() -> i64 {
    Timestamp::now().as_second() + 1
}

/// A custom object of the group `envtest.dev`.
pub fn custom(kind: &str, namespace: &str, name: &str, size: i64) -> Value {
    json!({"apiVersion": "envtest.dev/v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": {"size": size}})
}
