//! Where and how a run was made.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};
use sk_tracedb::limits::{BATCH_AGE_MS_MAX, BATCH_AGE_MS_QUIET, BATCH_OBSERVATIONS_QUIET};

/// The circumstances of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The command.
    pub command: String,
    /// The day, in UTC.
    pub date: String,
    /// The commit, and whether the checkout differed from it.
    pub commit: String,
    /// Model of the processor.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u64,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Whom it was compared with: names and versions.
    #[serde(default)]
    pub peers: Vec<String>,
    /// What could not be measured, and why.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Where a run measured some benchmarks anew: which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anew: Vec<String>,
}

impl About {
    /// This machine, now.
    pub fn now(command: String, peers: Vec<String>, left_out: Vec<String>) -> Self {
        let field = |path: &str, name: &str| -> Option<String> {
            let text = fs::read_to_string(path).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let memory_kib =
            memory.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            command,
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            memory_bytes: memory_kib.unwrap_or(0) << 10,
            kernel: kernel.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            peers,
            left_out,
            anew: Vec::new(),
        }
    }

    /// As a line of a result file.
    pub fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(&serde_json::json!({ "about": self }))
    }
}

/// The commit of this package's checkout.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(arguments)
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let hash = git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned();
    // What a run writes itself is no difference.
    let changed = git(&["status", "--porcelain", "--", ":/", ":!/docs/benchmarks.*"])?;
    Some(if changed.trim().is_empty() {
        hash
    } else {
        format!("{hash}, with local changes")
    })
}

/// The document's first part.
pub fn render(about: &[About]) -> String {
    let mut text = String::from(
        "This file is generated: do not edit it. The figures as they were measured are in `benchmarks.jsonl` beside it; \
         `cargo run --release --manifest-path benches/peers/Cargo.toml -- report docs/benchmarks.jsonl` makes this file \
         from them again.\n\n",
    );
    for run in about {
        if !run.anew.is_empty() {
            let _ = writeln!(text, "Measured anew since: {}, by\n", run.anew.join(", "));
        }
        let _ = writeln!(
            text,
            "    {}\n\n{}, commit {}, on {} cores ({}), {:.0} GiB of memory, Linux {}.\n",
            run.command,
            run.date,
            run.commit,
            run.cores,
            run.cpu,
            run.memory_bytes as f64 / f64::from(1 << 30),
            run.kernel,
        );
        if !run.peers.is_empty() {
            let _ = writeln!(text, "Peers: {}.\n", run.peers.join(", "));
        }
        for part in &run.left_out {
            let _ = writeln!(text, "Left out: {part}\n");
        }
    }
    let _ = write!(
        text,
        "The machine is a shared virtual one, and noisy: figures of one table were taken in turns, minutes apart at most, and \
         only their ratios mean anything. In `writer-at-...` changes come one by one at a steady rate; the writer of \
         sk-tracedb waits up to {BATCH_AGE_MS_MAX} ms for more to share a commit ({BATCH_AGE_MS_QUIET} ms while fewer than \
         {BATCH_OBSERVATIONS_QUIET} have come), and so does the \
         append-only file beside it: what that takes longer is the storage. A delay counts from the moment at which a change was due. Each figure is the \
         median of its runs, with the smallest and the largest in brackets where there were several (`ingest` is one \
         run); `= 2x` means twice the figure of sk-tracedb.\n\n\
         In `stores-...` all subjects get the same changes in batches of the same size, each acknowledged when it is \
         durable (but for `sqlite-wal-normal`, which syncs at checkpoints only). What is timed are the calls that \
         write a batch, and what the store's program does on the same thread between two of them: sk-tracedb packs what will \
         not change any more (fjall's own threads work besides). `until closed` adds what is left for the end. All sync \
         with `fdatasync`, SQLite where it is said above. The peers keep the changes in time order with their bodies, and an index by name with each object's last \
         hash; the append-only file has no index. sk-tracedb does more: it looks up the last hash and compares it, and keeps pod \
         lifecycles, owners and resource versions. Everything is read back and compared afterwards. A scan reads all \
         rows in time order, from a warm page cache; that of sk-tracedb is an export of everything, which also decides what is part of \
         the trace and leaves out objects with owners that are part of it: its rate counts only what it wrote. \
         `object by object` reads the history of every object, and so the same rows as the others. For the same reason the \
         trace file in `stores-disk` holds less than the store where objects have owners, as pods have.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_and_memory() {
        let about = About::now("x".to_owned(), vec!["y 3".to_owned()], vec![]);
        assert!(render(std::slice::from_ref(&about)).contains("\nPeers: y 3.\n"));
        assert!(about.cores > 0 && about.memory_bytes > 1 << 26, "{about:?}");
        assert!(about.date.starts_with("20") && about.date.len() == 10);
        let line = about.to_line().unwrap();
        let mut results = super::super::Results::default();
        results.read_lines(line.as_bytes(), "x").unwrap();
        assert_eq!(results.about, [about]);
    }
}
