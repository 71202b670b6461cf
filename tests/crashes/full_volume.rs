//! S4 with the program itself on a volume that is really full. Needs the right to mount a tmpfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use sk_tracedb::export::{ExportFilters, ExportRequest, export};
use sk_tracedb::model::{ByteSize, TimeRange, Timestamp};
use sk_tracedb::store::StorageFailure;
use sk_tracedb::{Reader, Store, StoreError, allocated_bytes};

use crate::fake_api::{DEADLINE, FakeApi};

/// A tmpfs of a few megabytes.
pub struct Volume(tempfile::TempDir);

impl Volume {
    /// `None`, with a printed reason, where mounting is not allowed.
    pub fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr);
                println!("skipped: cannot mount a tmpfs: {}", reason.trim());
                None
            }
            Err(error) => {
                println!("skipped: cannot mount a tmpfs: {error}");
                None
            }
        }
    }

    pub fn resize(&self, megabytes: u32) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,size={megabytes}m")])
            .arg(self.0.path())
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// The program, recording.
struct Program {
    child: Child,
    log: PathBuf,
    address: String,
    client: reqwest::Client,
}

impl Program {
    fn start(api: &FakeApi, db: &Path, folder: &Path) -> Self {
        let config = folder.join("config.yaml");
        fs::write(&config, "trackedObjects: {v1.ConfigMap: {}}").unwrap();
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_sk-tracedb"))
            .args(["record", "--server-port", "0", "--config-file"])
            .arg(&config)
            .arg("--db")
            .arg(db)
            .env("KUBECONFIG", api.kubeconfig(folder))
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut program = Self {
            child,
            log,
            address: String::new(),
            client: reqwest::Client::new(),
        };
        program.address = program.wait_for("it serves", |program| {
            let text = program.log();
            let (_, address) = text.split_once("serving HTTP")?.1.split_once("address=")?;
            Some(address.split_whitespace().next()?.to_owned())
        });
        program
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap();
        // Without the colours of a terminal.
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        plain
    }

    fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn get(&self, api: &FakeApi, path: &str) -> (u16, String) {
        let asking = async {
            let url = format!("http://{}{path}", self.address);
            let response = self.client.get(url).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        api.runtime().block_on(asking)
    }

    fn metric(&self, api: &FakeApi, name: &str) -> Option<f64> {
        let (_, text) = self.get(api, "/metrics");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("sk_tracedb_{name} ")))?;
        Some(value.parse().unwrap())
    }

    fn export(&self, api: &FakeApi) -> (u16, Vec<u8>) {
        let asking = async {
            let body = serde_json::json!({
                "start_ts": 1, "end_ts": i64::from(u32::MAX), "export_path": "x",
                "filters": {"excluded_namespaces": [], "excluded_labels": []},
            });
            let request = self
                .client
                .post(format!("http://{}/export", self.address))
                .body(body.to_string());
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.bytes().await.unwrap().to_vec())
        };
        api.runtime().block_on(asking)
    }

    /// SIGTERM; how it ended.
    fn stop(&mut self) -> ExitStatus {
        let sent = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not stop\n{}",
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config_maps(db: &Path) -> u64 {
    count_config_maps(db).unwrap()
}

/// Fails where the recorder opens the file while it is read, as it does when there is room again.
fn count_config_maps(db: &Path) -> Result<u64, StoreError> {
    let info = Reader::open(db)?.snapshot()?.info()?;
    Ok(info.kinds.iter().map(|kind| kind.objects).sum())
}

#[test]
fn the_recorder_pauses_on_a_full_volume_says_so_and_goes_on_when_there_is_room() {
    let Some(volume) = Volume::mount(16) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let db = volume.path().join("trace.redb");
    let reserve = volume.path().join("trace.redb.reserve");
    let api = FakeApi::start(50_000);
    let mut program = Program::start(&api, &db, folder.path());
    program.wait_for("it is not ready", |program| {
        (program.get(&api, "/readyz").0 == 200).then_some(())
    });
    assert!(reserve.exists());
    assert!(program.metric(&api, "reserve_bytes").unwrap() > 1e6);

    while program.metric(&api, "recording_paused") != Some(1.0) {
        assert!(api.count() < 2_000, "100 MB fit into 16\n{}", program.log());
        api.create(25);
        let seen = api.count() as f64;
        program.wait_for("it records nothing", |program| {
            let paused = program.metric(&api, "recording_paused") == Some(1.0);
            let changes = program.metric(&api, "changes_total")?;
            (paused || changes >= seen).then_some(())
        });
    }
    assert!(!reserve.exists());
    assert_eq!(program.metric(&api, "reserve_bytes"), Some(0.0));
    assert!(program.metric(&api, "write_failures_total").unwrap() >= 2.0);
    let (status, text) = program.get(&api, "/readyz");
    assert_eq!(status, 503);
    assert!(text.contains("[-]recording is paused since "), "{text}");
    assert!(text.contains("no space left on the volume of "), "{text}");
    assert_eq!(program.get(&api, "/healthz").0, 200);
    let log = program.log();
    assert!(log.contains("the reserve file is given up"), "{log}");
    assert!(log.contains("recording is paused"), "{log}");
    // Everything acknowledged can be exported, beside the program and through it.
    let recorded = program.metric(&api, "changes_total").unwrap();
    assert_eq!(config_maps(&db) as f64, recorded);
    let (status, trace) = program.export(&api);
    assert_eq!(status, 200);
    assert!(trace.len() as f64 > recorded * api.object_bytes() as f64);

    // More comes while it is paused than there are free pages in the file; and a restart, which is paused as well.
    api.create(120);
    let status = program.stop();
    assert_eq!(status.code(), Some(1), "{}", program.log());
    let log = program.log();
    assert!(log.contains("observations are not recorded"), "{log}");
    assert!(log.contains("No space left on device"), "{log}");
    assert_eq!(config_maps(&db) as f64, recorded);
    let mut program = Program::start(&api, &db, folder.path());
    program.wait_for("it is not paused", |program| {
        (program.metric(&api, "recording_paused") == Some(1.0)).then_some(())
    });
    // Of what had failed as one batch, a part may have found room. What was recorded ten seconds ago may have become part of
    // the start: its objects are in the trace all the same.
    let again = program.export(&api).1.len() as f64;
    let least = recorded * api.object_bytes() as f64;
    assert!(again > least, "{again} of {least}");

    volume.resize(200);
    let all = api.count();
    program.wait_for("it does not go on", |program| {
        let recorded = count_config_maps(&db).unwrap_or_default();
        (recorded == all && program.get(&api, "/readyz").0 == 200).then_some(())
    });
    assert_eq!(program.metric(&api, "recording_paused"), Some(0.0));
    assert!(program.log().contains("recording goes on"));
    assert_eq!(program.stop().code(), Some(0), "{}", program.log());
    assert_eq!(config_maps(&db), all);
}

/// What a store says of itself, and all of its record.
fn told(path: &Path) -> (String, Vec<u8>) {
    let reader = Reader::open(path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let (start, end) = snapshot.extent().unwrap();
    let window = TimeRange::new(
        Timestamp::from_seconds(start.as_seconds()),
        Timestamp::from_seconds(end.as_seconds() + 1),
    );
    let request = ExportRequest {
        window: window.unwrap(),
        filters: ExportFilters::default(),
    };
    let mut trace = Vec::new();
    export(&reader, &request, &mut trace).unwrap();
    assert!(trace.len() > 100_000);
    (format!("{:?}", snapshot.info().unwrap()), trace)
}

#[test]
fn a_store_that_cannot_be_migrated_for_want_of_room_stays_what_it_was() {
    let Some(volume) = Volume::mount(3) else {
        return;
    };
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/fixtures/v1.redb");
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("trace.redb");
    fs::copy(&old, &elsewhere).unwrap();
    Store::open(&elsewhere).unwrap().close().unwrap();

    let db = volume.path().join("trace.redb");
    fs::copy(&old, &db).unwrap();
    let taken = allocated_bytes(&db).unwrap();
    // 200 KB are left.
    let filler = volume.path().join("filler");
    let leave = |bytes: u64| {
        let size = (3 << 20) - taken - bytes;
        fs::write(&filler, vec![1; size as usize]).unwrap();
    };
    leave(200_000);
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = || loop {
        let Err(error) = Store::open(&db) else {
            panic!("it was migrated without room");
        };
        // A program that another test is about to start has, until it runs, every file of this process open, the one that
        // was just removed as well.
        if !matches!(
            error,
            StoreError::NoRoomToMigrate {
                available_bytes: ..150_000,
                ..
            }
        ) {
            return error;
        }
        assert!(Instant::now() < deadline, "{error:?}");
    };
    for _ in 0..2 {
        let error = refused();
        assert_eq!(error.storage_failure(), Some(StorageFailure::NoSpace));
        let StoreError::NoRoomToMigrate {
            found: 1,
            needed_bytes,
            available_bytes,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(*needed_bytes, taken);
        assert!((150_000..=200_000).contains(available_bytes), "{error:?}");
        let text = error.to_string();
        let hint = format!("for a second file of its size, {}", ByteSize(taken));
        assert!(text.contains(&hint), "{text}");
        // Its record is all there.
        let copy = folder.path().join("copy.redb");
        fs::copy(&db, &copy).unwrap();
        Store::open(&copy).unwrap().close().unwrap();
        assert_eq!(told(&copy), told(&elsewhere));
        let Err(error) = Reader::open(&db) else {
            panic!("it is of the new version");
        };
        assert!(
            matches!(error, StoreError::OlderSchema { found: 1, .. }),
            "{error:?}"
        );
        let names: Vec<_> = fs::read_dir(volume.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
    // So much is enough.
    fs::remove_file(&filler).unwrap();
    leave(taken);
    Store::open(&db).unwrap().close().unwrap();
    assert_eq!(told(&db), told(&elsewhere));
}
