//! Which versions of the peers were measured.

use std::fs;
use std::path::Path;

/// What this program was built from.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The stores that are compared, with their versions.
pub fn stores() -> Vec<String> {
    vec![
        format!("fjall {}", locked("fjall")),
        format!(
            "SQLite {} (rusqlite {}, {})",
            rusqlite::version(),
            locked("rusqlite"),
            sqlite_syncs_with()
        ),
    ]
}

/// With what SQLite was built to sync: `.cargo/config.toml` has it use what all others do.
fn sqlite_syncs_with() -> &'static str {
    match option_env!("LIBSQLITE3_FLAGS") {
        Some(flags) if flags.contains("-DHAVE_FDATASYNC=1") => "with fdatasync",
        _ => "with fsync",
    }
}

/// sk-tracer, which does not tell its version: cargo keeps it beside the folder into which it installs programs.
pub fn sk_tracer(program: &Path) -> String {
    let installed = || {
        let list = program.parent()?.parent()?.join(".crates.toml");
        let list = fs::read_to_string(list).ok()?;
        let line = list
            .lines()
            .find_map(|line| line.strip_prefix("\"sk-tracer "))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let version = installed().unwrap_or_else(|| "of unknown version".to_owned());
    format!("sk-tracer {version}")
}

/// The version of a package in the lock file.
fn locked(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name).skip(1);
    lines
        .next()
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or("of unknown version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_were_built_and_installed() {
        assert!(stores()[0].starts_with("fjall 3."), "{:?}", stores());
        assert!(stores()[1].starts_with("SQLite 3."), "{:?}", stores());
        assert!(stores()[1].contains("(rusqlite 0."), "{:?}", stores());
        assert_eq!(locked("no-such-package"), "of unknown version");
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("bin/sk-tracer");
        assert_eq!(sk_tracer(&program), "sk-tracer of unknown version");
        let list = "[v1]\n\"other 1.0.0 (x)\" = [\"o\"]\n\"sk-tracer 2.7.0 (registry+x)\" = [\"sk-tracer\"]\n";
        fs::write(folder.path().join(".crates.toml"), list).unwrap();
        assert_eq!(sk_tracer(&program), "sk-tracer 2.7.0");
    }
}
