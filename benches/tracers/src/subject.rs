//! A recorder under test: how it is started, asked and stopped.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api::ApiServer;
use crate::http::{self, Answer};
use crate::limits::{EXPORT_MAX, POLL, QUIET, REQUEST_MAX, RSS_BYTES_MAX, STOP_MAX};
use crate::proc_stat::ProcStat;

/// Which recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SkTracedb,
    SkTracer,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::SkTracedb => "sk-tracedb",
            Self::SkTracer => "sk-tracer",
        }
    }
}

/// A program to measure.
#[derive(Clone, Debug)]
pub struct Program {
    pub kind: Kind,
    pub path: PathBuf,
}

/// A recorder at work. Killed, if need be, when this is dropped.
pub struct Subject {
    pub kind: Kind,
    pub started: Instant,
    /// Unix seconds at the start.
    pub started_at: i64,
    child: Child,
    pid: u32,
    port: u16,
    folder: TempDir,
}

impl Subject {
    /// Starts a program with this server as its cluster. Its files are in a temporary folder.
    pub fn start(program: &Program, server: &ApiServer) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let kubeconfig = server.kubeconfig(folder.path())?;
        let config = folder.path().join("tracer.yml");
        std::fs::write(&config, server.content().config)?;
        // The port is free now; nobody else is told of it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(&program.path);
        if program.kind == Kind::SkTracedb {
            command.arg("record");
            command.arg("--db").arg(folder.path().join("trace.redb"));
        }
        command
            .arg("--config-file")
            .arg(&config)
            .args(["--server-port", &port.to_string(), "--verbosity", "warn"])
            .env("KUBECONFIG", &kubeconfig)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("stdout"))?)
            .stderr(File::create(folder.path().join("stderr"))?)
            .kill_on_drop(true);
        let started_at = unix_seconds();
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", program.path.display()))?;
        let pid = child.id().context("the process has no id")?;
        Ok(Self {
            kind: program.kind,
            started,
            started_at,
            child,
            pid,
            port,
            folder,
        })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn stat(&self) -> anyhow::Result<ProcStat> {
        ProcStat::read(self.pid)
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("trace.redb")
    }

    /// Fails when it has ended by itself, or takes too much memory.
    pub fn check(&mut self) -> anyhow::Result<ProcStat> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended: {status}\n{}", self.kind.name(), self.said());
        }
        let stat = self.stat()?;
        if stat.rss > RSS_BYTES_MAX {
            bail!(
                "{} takes {} MiB and is stopped: the machine is shared",
                self.kind.name(),
                stat.rss >> 20
            );
        }
        Ok(stat)
    }

    /// The end of what it said.
    fn said(&self) -> String {
        let read = |name: &str| {
            let text = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
            let tail = text.len().saturating_sub(2_000);
            String::from_utf8_lossy(&text[tail..]).into_owned()
        };
        format!("{}{}", read("stdout"), read("stderr"))
    }

    /// Polls until `done` gives something.
    pub async fn wait<T>(
        &mut self,
        what: &str,
        every: Duration,
        most: Duration,
        mut done: impl AsyncFnMut(&mut Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = done(self).await? {
                return Ok(found);
            }
            self.check()?;
            if began.elapsed() > most {
                bail!(
                    "{} has not {what} within {most:?}\n{}",
                    self.kind.name(),
                    self.said()
                );
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Waits until it has used no CPU time and asked the server for nothing for [`QUIET`]; when that began, and its CPU
    /// time then.
    pub async fn quiet(
        &mut self,
        server: &ApiServer,
        most: Duration,
    ) -> anyhow::Result<(Instant, f64)> {
        let mut used = self.stat()?.cpu_seconds;
        let mut requests = server.seen().requests();
        let mut since = Instant::now();
        self.wait("come to rest", POLL, most, async |subject| {
            let now = (subject.stat()?.cpu_seconds, server.seen().requests());
            if now != (used, requests) {
                (used, requests) = now;
                since = Instant::now();
            }
            Ok((since.elapsed() >= QUIET).then_some((since, used)))
        })
        .await
    }

    /// Whether `/readyz` says so (only sk-tracedb has it).
    pub async fn is_ready(&self) -> bool {
        let answer = http::get(self.port, "/readyz", REQUEST_MAX).await;
        answer.is_ok_and(|answer| answer.status.is_success())
    }

    /// The sum of a metric over its labels (only sk-tracedb has them).
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let answer = http::get(self.port, "/metrics", REQUEST_MAX).await?;
        metric(&answer.text(), name).with_context(|| format!("there is no metric {name}"))
    }

    /// Exports everything since the start, as `skctl` asks for it; see [`http::post`].
    pub async fn export(&self, room_bytes: usize) -> anyhow::Result<Answer> {
        let body = json!({
            "start_ts": self.started_at - 5, "end_ts": unix_seconds() + 60,
            "export_path": "file:///tmp/trace.sktrace",
            "filters": {"excluded_namespaces": [], "excluded_labels": []},
        });
        let answer = http::post(
            self.port,
            "/export",
            body.to_string(),
            room_bytes,
            EXPORT_MAX,
        )
        .await?;
        if !answer.status.is_success() {
            bail!(
                "{} refuses to export: {} {}",
                self.kind.name(),
                answer.status,
                answer.text()
            );
        }
        Ok(answer)
    }

    /// SIGTERM, and SIGKILL after a while.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(STOP_MAX, self.child.wait()).await {
            Ok(status) => {
                status?;
            }
            Err(_) => {
                eprintln!("{} did not stop within {STOP_MAX:?}", self.kind.name());
                self.child.kill().await?;
            }
        }
        Ok(())
    }
}

/// The sum of a metric's samples in the text of a scrape.
fn metric(text: &str, name: &str) -> Option<f64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        if rest.starts_with([' ', '{'])
            && let Some(value) = rest
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse::<f64>().ok())
        {
            sum = Some(sum.unwrap_or(0.0) + value);
        }
    }
    sum
}

fn unix_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() as i64)
}

/// Bytes that the file system has allocated for a file.
pub fn allocated(path: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(path)?.blocks() * 512)
}

#[cfg(test)]
mod tests {
    //! Guards against a metric whose name begins like another's.

    #[test]
    fn samples_of_one_metric_are_summed() {
        let text = "# HELP a_total x\na_total 3\na_total_more 5\nb_total{kind=\"x y\"} 1\nb_total{kind=\"z\"} 2\n";
        assert_eq!(super::metric(text, "a_total"), Some(3.0));
        assert_eq!(super::metric(text, "b_total"), Some(3.0));
        assert_eq!(super::metric(text, "c"), None);
    }
}
