//! All benchmarks of the project, one program after the other, and the report of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt;
use crate::report::{About, Results, versions};

/// What is run.
pub struct Plan {
    /// The document to write; the lines go to a file of the same name that ends with `.jsonl`.
    pub out: PathBuf,
    /// The release binary of sk-tracedb; built where none is given.
    pub sk_tracedb: Option<PathBuf>,
    /// Where temporary files go.
    pub folder: PathBuf,
    /// The binary of sk-tracer; looked for on the PATH where none is given.
    pub sk_tracer: Option<PathBuf>,
    /// Arguments of `sk-tracedb bench --json`, once for each call.
    pub bench: Vec<Vec<String>>,
    /// Arguments of this program, once for each call.
    pub peers: Vec<Vec<String>>,
    /// Arguments of `tracers all --json`, binaries aside; `None`: they are not wanted.
    pub tracers: Option<Vec<String>>,
    /// It measures everything. Else the figures of the document that it does not measure stay.
    pub is_all: bool,
}

/// Runs the plan. A document that stays in parts must be there with its result lines, and changes only if all that is wanted of it
/// was measured. Else, what fails or is not there is left out and said so in the document; a part that fails makes the whole
/// fail, after the document has been written.
pub fn run(plan: &Plan) -> Result<()> {
    let root = root()?;
    let lines_path = lines_path(&plan.out)?;
    let earlier = if plan.is_all {
        None
    } else {
        Some(Results::read(std::slice::from_ref(&lines_path))?)
    };
    let existing = |path: &PathBuf| {
        path.canonicalize()
            .with_context(|| path.display().to_string())
    };
    let folder = existing(&plan.folder)?;
    let sk_tracer = plan.sk_tracer.as_ref().map(existing).transpose()?;
    let sk_tracedb = match &plan.sk_tracedb {
        Some(path) => existing(path)?,
        None => build(&root)?,
    };
    let mut gathered = Gathered::default();
    for arguments in &plan.bench {
        let mut command = Command::new(&sk_tracedb);
        command.arg("bench").args(arguments).arg("--json");
        command.env(TEMPORARY, &folder);
        gathered.add("sk-tracedb bench", &mut command)?;
    }
    for arguments in &plan.peers {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg("--json");
        gathered.add("peers", &mut command)?;
    }
    let sk_tracer = sk_tracer.or_else(|| on_path("sk-tracer"));
    let mut peers = versions::stores();
    peers.extend(sk_tracer.as_deref().map(versions::sk_tracer));
    if let Some(arguments) = &plan.tracers {
        tracers(
            arguments,
            &root,
            &folder,
            &sk_tracedb,
            sk_tracer,
            &mut gathered,
        )?;
    }

    let about = About::now(
        command_line(std::env::args().skip(1)),
        peers,
        gathered.left_out.clone(),
    );
    let mut results = Results::default();
    results.read_lines(gathered.text.as_bytes(), "the results")?;
    results.about.push(about);
    if let Some(earlier) = earlier {
        // What was measured before is worth more than half of something newer.
        ensure!(
            gathered.left_out.is_empty() && !results.lines.is_empty(),
            "{} stays as it is: not all of what was wanted was measured: {}",
            plan.out.display(),
            gathered.left_out.join("; ")
        );
        results = earlier.renewed(results);
    }
    // First what took hours.
    replace(&lines_path, &results.to_lines()?)?;
    replace(&plan.out, &results.render())?;
    ensure!(
        gathered.failed.is_empty(),
        "failed: {}",
        gathered.failed.join(", ")
    );
    Ok(())
}

/// Says to other programs where temporary files go.
const TEMPORARY: &str = "TMPDIR";

/// Options that say where something is on this machine: they change nothing that is measured.
const PLACES: [&str; 3] = ["--sk-tracedb", "--sk-tracer", "--folder"];

/// The command by which this program was called, as one would type it, without [`PLACES`].
fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    let mut text = "cargo run --release --manifest-path benches/peers/Cargo.toml --".to_owned();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if PLACES.contains(&&*argument) {
            arguments.next();
            continue;
        }
        let is_place = |place: &str| {
            argument
                .strip_prefix(place)
                .is_some_and(|rest| rest.starts_with('='))
        };
        if PLACES.into_iter().any(is_place) {
            continue;
        }
        text.push(' ');
        text.push_str(&argument);
    }
    text
}

/// Result lines of several programs.
#[derive(Default)]
struct Gathered {
    text: String,
    left_out: Vec<String>,
    failed: Vec<String>,
}

impl Gathered {
    /// Runs a program and keeps its lines, also those that it printed before it failed.
    fn add(&mut self, name: &str, command: &mut Command) -> Result<()> {
        eprintln!("--- {command:?}");
        if let Err(error) = self.run(command) {
            interrupt::check()?;
            eprintln!("{name} failed: {error:#}");
            self.left_out
                .push(format!("{name}, or a part of it: {error:#}"));
            self.failed.push(name.to_owned());
        }
        interrupt::check()
    }

    fn run(&mut self, command: &mut Command) -> Result<()> {
        let output = command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let mut nonsense = None;
        for line in String::from_utf8(output.stdout)?.lines() {
            // A line that is none must not spoil the others.
            match Results::default().read_lines(line.as_bytes(), "its output") {
                Ok(()) => {
                    self.text.push_str(line);
                    self.text.push('\n');
                }
                Err(error) => {
                    nonsense.get_or_insert(error);
                }
            }
        }
        ensure!(output.status.success(), "{}", output.status);
        nonsense.map_or(Ok(()), Err)
    }

    fn leave_out(&mut self, reason: String) {
        eprintln!("left out: {reason}");
        self.left_out.push(reason);
    }
}

/// Where the result lines go: to a file beside the document, in a folder that can be written.
fn lines_path(out: &Path) -> Result<PathBuf> {
    let path = out.with_extension("jsonl");
    ensure!(
        path != out,
        "{}: the result lines go to a file of this name",
        out.display()
    );
    tempfile::NamedTempFile::new_in(folder_of(out)).with_context(|| out.display().to_string())?;
    Ok(path)
}

fn tracers(
    arguments: &[String],
    root: &Path,
    folder: &Path,
    sk_tracedb: &Path,
    sk_tracer: Option<PathBuf>,
    gathered: &mut Gathered,
) -> Result<()> {
    let manifest = root.join("benches/tracers/Cargo.toml");
    if !manifest.exists() {
        gathered.leave_out("the tracers side by side: there is no benches/tracers".to_owned());
        return Ok(());
    }
    let mut command = Command::new(cargo());
    command
        .args(["run", "--locked", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .args(["--", "all", "--json", "--sk-tracedb"])
        .arg(sk_tracedb)
        .args(arguments)
        .current_dir(root)
        .env(TEMPORARY, folder)
        .env_remove("CARGO_TARGET_DIR");
    match sk_tracer {
        Some(path) => {
            command.arg("--sk-tracer").arg(path);
        }
        None => gathered.leave_out(
            "sk-tracer: it is not on the PATH (`cargo install --locked sk-tracer`)".to_owned(),
        ),
    }
    gathered.add("tracers", &mut command)
}

/// A program on the PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The checkout that this package belongs to.
fn root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2).context("no checkout")?;
    ensure!(
        root.join("Cargo.toml").exists(),
        "{} is no checkout of sk-tracedb",
        root.display()
    );
    Ok(root.to_owned())
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Builds the release binary.
fn build(root: &Path) -> Result<PathBuf> {
    eprintln!("--- building sk-tracedb");
    let output = Command::new(cargo())
        .args(["build", "--locked", "--release", "--message-format", "json"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("sk-tracedb cannot be built");
    }
    let text = String::from_utf8(output.stdout)?;
    let built = text.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        if message.pointer("/target/name")?.as_str()? != "sk-tracedb" {
            return None;
        }
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    built.context("cargo does not say what it has built")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a file that appears whole or not at all.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = folder_of(path);
    let write = || -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file.path(), permissions)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_told_without_places_on_this_machine() {
        let arguments = [
            "all",
            "--out",
            "docs/a.md",
            "--folder",
            "/x",
            "--sk-tracer=/y",
            "--runs",
            "2",
            "--sk-tracedb",
            "z",
        ];
        assert_eq!(
            command_line(arguments.map(str::to_owned)),
            "cargo run --release --manifest-path benches/peers/Cargo.toml -- all --out docs/a.md --runs 2"
        );
    }

    #[test]
    fn a_program_that_fails_or_says_nonsense_is_named_and_spoils_nothing() {
        let mut gathered = Gathered::default();
        let line = r#"{"benchmark":"b","workload":"w","changes":1,"objects":2,"subject":"s","metric":"m","unit":"u","runs":[1]}"#;
        let mut add = |name, program: &str, arguments: &[&str]| {
            gathered
                .add(name, Command::new(program).args(arguments))
                .unwrap();
        };
        add("good", "echo", &[line]);
        add(
            "nonsense",
            "sh",
            &["-c", "echo nonsense; echo \"$0\"", line],
        );
        // What it printed before is kept.
        add("failing", "sh", &["-c", "echo \"$0\"; exit 3", line]);
        add("missing", "no-such-program-here", &[]);
        assert_eq!(gathered.text, format!("{line}\n{line}\n{line}\n"));
        assert_eq!(gathered.failed, ["nonsense", "failing", "missing"]);
        assert_eq!(gathered.left_out.len(), 3);
    }
}
