//! Child processes that do not outlive the test, however it ends, and whose logs are at hand when something goes wrong.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program with its output in a file. Dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    /// Waits for the end of its stdin, which is the end of this test process, and then kills the child: `Drop` does not
    /// run when a test binary is aborted or killed by a time limit.
    reaper: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`. Its stdout and stderr are appended to `log`.
    pub fn spawn(program: &Path, args: &[String], log: &Path) -> Self {
        Self::spawn_with(program, args, &[], log)
    }

    /// The same with these variables in its environment, besides this process's own.
    pub fn spawn_with(
        program: &Path,
        args: &[String],
        variables: &[(&str, &Path)],
        log: &Path,
    ) -> Self {
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = Command::new(program)
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let reaper = Command::new("sh")
            .args([
                "-c",
                "cat >/dev/null; kill -9 \"$0\" 2>/dev/null",
                &child.id().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            name,
            child,
            reaper,
            log: log.to_owned(),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, when it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Panics with the end of its log when it has ended by itself.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended ({status}):\n{}", self.name, self.log_tail());
        }
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .args([
                "-c",
                "kill -s \"$0\" \"$1\"",
                signal,
                &self.id().to_string(),
            ])
            .status()
            .unwrap();
        assert!(
            status.success(),
            "SIG{signal} to {} (process {}) failed",
            self.name,
            self.id()
        );
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        // The reaper first: from the moment that the child is waited for, its id may belong to somebody else.
        let _ = self.reaper.kill();
        let _ = self.reaper.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, then SIGKILL after `grace`. True when it ended by itself.
    pub fn terminate(&mut self, grace: Duration) -> bool {
        self.signal("TERM");
        self.wait(grace)
            .is_some_and(|status| status.signal() != Some(9))
    }

    /// Waits for its end, and kills it after `deadline`. None when it had to be killed.
    pub fn wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < deadline {
            if let Some(status) = self.ended() {
                self.kill();
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "--- the end of the log of {}:\n{}",
                self.name,
                self.log_tail()
            );
        }
    }
}
