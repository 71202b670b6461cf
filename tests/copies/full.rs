//! Commands that write, on a full disk: what was there before stays, nothing half-made stays behind, and what is said names
//! the file that cannot be written and, where it is known, how much room is enough.

use std::path::Path;
use std::process::{Command, Output};

use sk_tracedb::Reader;
use sk_tracedb::store::verify;

use crate::load::closed;
use crate::support::folder::names;
use crate::support::recorder::export_of;
use crate::support::*;

/// Runs the program where no file can take more than some KiB: that stands for the disk.
fn run_full(folder: &Path, kib_max: u64, args: &str) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {kib_max}; exec \"$0\" {args}");
    Command::new("bash")
        .current_dir(folder)
        .args(["-c", &script, env!("CARGO_BIN_EXE_sk-tracedb")])
        .output()
        .unwrap()
}

fn assert_told(output: &Output, texts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for text in texts.iter().chain(&["File too large", "hint:"]) {
        assert!(stderr.contains(text), "{text}: {stderr}");
    }
}

#[test]
fn a_copy_an_import_and_an_export_name_what_they_could_not_write_and_leave_nothing() {
    let (folder, path) = closed(40);
    let folder = folder.path();
    let trace = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder)
        .args(["export", "--db", "store.redb", "-o", "whole.sktrace"])
        .output()
        .unwrap();
    assert!(trace.status.success());
    let store = std::fs::read(&path).unwrap();
    std::fs::create_dir(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/copy.redb"), "was there before").unwrap();
    for (args, told) in [
        (
            "backup --db store.redb -o sub/copy.redb",
            "sub: cannot write the copy here",
        ),
        (
            "backup --db store.redb -o - --temp-dir sub",
            "sub: cannot write the copy here",
        ),
        (
            "import whole.sktrace --db sub/new.redb",
            "sub/new.redb: cannot be written",
        ),
        (
            "export --db store.redb -o sub/new.sktrace",
            "sub/new.sktrace: cannot be written",
        ),
    ] {
        let kib_max = if args.starts_with("export") { 8 } else { 100 };
        assert_told(&run_full(folder, kib_max, args), &[told]);
        assert_eq!(names(&folder.join("sub")), ["copy.redb"], "{args}");
        let before = std::fs::read(folder.join("sub/copy.redb")).unwrap();
        assert_eq!(before, b"was there before", "{args}");
        assert!(std::fs::read(&path).unwrap() == store, "{args}");
    }
}

#[test]
fn gc_and_compact_say_how_much_room_is_enough_and_lose_nothing() {
    for args in ["gc --db store.redb --before 110", "compact --db store.redb"] {
        let (folder, path) = closed(40);
        let before = kept(&path);
        // The file is longer already: little of it can be written.
        let kib_max = std::fs::metadata(&path).unwrap().len() / 2 / 1024;
        let output = run_full(folder.path(), kib_max, args);
        assert_told(
            &output,
            &[
                "store.redb: ",
                "is enough",
                "nothing that is kept was harmed",
            ],
        );
        assert_eq!(names(folder.path()), ["store.redb"]);
        assert!(kept(&path) == before, "{args}");
        assert!(verify(&path, &mut |_| true).unwrap().intact);
        // With room, it does what it was asked for.
        let output = run_full(folder.path(), 100_000, args);
        assert!(output.status.success(), "{output:?}");
        assert!(kept(&path) == before, "{args}");
    }
}

/// The record from where `gc` lets it begin.
fn kept(path: &Path) -> Vec<u8> {
    let reader = Reader::open(path).unwrap();
    export_of(&reader, window(110, 141), Default::default()).bytes
}
