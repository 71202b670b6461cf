//! What a command may write over. Guards against a store that is gone because its own name, or a running recorder's, was
//! given as the output; and against devices, FIFOs and links that are plain files afterwards. Never tried on the
//! machine's own devices.

use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use sk_tracedb::Reader;
use sk_tracedb::store::verify;

use crate::load::{Load, closed, commits_of};
use crate::program::run;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn a_store_is_not_replaced_by_what_is_made_from_it() {
    let (folder, path) = closed(5);
    let root = folder.path();
    std::fs::hard_link(&path, root.join("hard.redb")).unwrap();
    symlink("store.redb", root.join("link.redb")).unwrap();
    let before = std::fs::read(&path).unwrap();
    let there = entries(root);
    for output in ["store.redb", "./store.redb", "hard.redb", "link.redb"] {
        for command in ["export", "backup"] {
            let refused = run(root, &[command, "--db", "store.redb", "-o", output]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{command} {output}: {text}");
            assert!(text.contains("is the store itself"), "{text}");
            assert!(text.contains("\nhint: "), "{text}");
        }
    }
    assert!(std::fs::read(&path).unwrap() == before);
    assert_eq!(entries(root), there);
    let demo = run(root, &["demo", "--db", "new.redb", "--out", "./new.redb"]);
    assert_eq!(demo.status.code(), Some(1));
    assert!(stderr(&demo).contains("is the store itself"));
    assert_eq!(entries(root), there);
}

#[test]
fn a_running_recorders_file_is_not_replaced() {
    let (folder, _path) = closed(5);
    let load = Load::start(5, None);
    let live = load.path.to_str().unwrap();
    symlink(live, folder.path().join("link.redb")).unwrap();
    for output in [live, "link.redb"] {
        for command in ["backup", "export"] {
            let refused = run(
                folder.path(),
                &[command, "--db", "store.redb", "-o", output],
            );
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{command}: {text}");
            assert!(text.contains("another process is writing"), "{text}");
            assert!(text.contains("\nhint: "), "{text}");
        }
    }
    // It is still the recorder's.
    load.wait_for(load.commits() + 2);
    let path = load.path.clone();
    let recorder = load.stop();
    let expected = commits_of(&recorder.reader());
    assert_eq!(commits_of(&Reader::open(&path).unwrap()), expected);
}

#[test]
fn a_fifo_is_written_through() {
    let (folder, _path) = closed(5);
    let root = folder.path();
    let fifo = root.join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    symlink("fifo", root.join("link")).unwrap();
    let there = entries(root);
    let through = |args: &[&str]| {
        let mut writing = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
            .current_dir(root)
            .args(args)
            .spawn()
            .unwrap();
        let bytes = std::fs::read(&fifo).unwrap();
        assert!(writing.wait().unwrap().success());
        bytes
    };
    let expected = run(root, &["export", "--db", "store.redb", "-o", "-"]).stdout;
    assert!(expected.len() > 1_000);
    for output in ["fifo", "link"] {
        let trace = through(&["export", "--db", "store.redb", "-o", output]);
        assert!(trace == expected, "{output}");
    }
    let copy = through(&["backup", "--db", "store.redb", "-o", "link"]);
    assert!(fifo.metadata().unwrap().file_type().is_fifo());
    assert!(root.join("link").is_symlink());
    assert_eq!(entries(root), there, "something was left behind");
    std::fs::write(root.join("copy.redb"), copy).unwrap();
    assert!(
        verify(&root.join("copy.redb"), &mut |_| true)
            .unwrap()
            .intact
    );
}

#[test]
fn who_waits_for_a_reader_of_a_fifo_can_be_stopped() {
    let (folder, _path) = closed(5);
    let fifo = folder.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let mut writing = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
        .current_dir(folder.path())
        .args(["export", "--db", "store.redb", "-o", "fifo"])
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(writing.try_wait().unwrap().is_none(), "nobody reads yet");
    let pid = writing.id().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(told.success());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while writing.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > deadline {
            writing.kill().unwrap();
            panic!("it does not stop");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(writing.wait().unwrap().code(), Some(130));
}

#[test]
fn a_link_is_followed() {
    let (folder, _path) = closed(5);
    let root = folder.path();
    std::fs::create_dir(root.join("sub")).unwrap();
    for (command, name) in [("export", "trace"), ("backup", "copy")] {
        let (link, target) = (format!("{name}.link"), root.join("sub").join(name));
        symlink(&target, root.join(&link)).unwrap();
        // Something that is not there yet, and something that is.
        for _ in 0..2 {
            let output = run(root, &[command, "--db", "store.redb", "-o", &link]);
            assert!(output.status.success(), "{}", stderr(&output));
            assert!(root.join(&link).is_symlink());
            assert!(std::fs::symlink_metadata(&target).unwrap().len() > 1_000);
        }
    }
    assert_eq!(entries(&root.join("sub")), 2);
}
