//! X2: a client that reads 1 KB/s for ten minutes costs the recorder no disk. Its minutes are simulated: between two
//! kilobytes of its reading as much is committed as in a second of recording.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sk_tracedb::Store;
use sk_tracedb::config::TracerConfig;
use sk_tracedb::ingest::Writer;
use sk_tracedb::model::{Observation, Timestamp};
use sk_tracedb::serve::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::record::{Record, START, kind};
use super::running::{FakeRecorder, everything, options};

const SECONDS: i64 = 600;
const BYTES_A_SECOND: usize = 1_000;
/// Commits without growth after which whatever pinned pages is over: a snapshot that is held makes each of them grow the file.
const STEADY_COMMITS: u32 = 50;

enum Beside {
    Nobody,
    /// The slow client.
    Client,
    /// What the client must not do to the recorder: a snapshot that is held all the time.
    Snapshot,
}

fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

/// By how many bytes the file grows in so many seconds of commits that replace what was there.
async fn growth(beside: Beside, seconds: i64) -> u64 {
    let record = Record::large();
    let path = record.path();
    let mut writer = Writer::new(Store::open(&path).unwrap()).unwrap();
    let (config, _) = TracerConfig::parse("trackedObjects: {v1.ConfigMap: {}}").unwrap();
    let at = |seconds| Timestamp::from_seconds(START + 100 + seconds);
    writer.begin_run(at(0), &config, "record", None).unwrap();

    let server = Server::bind(options()).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = watch::channel(false);
    let reader = writer.reader();
    let serving = tokio::spawn(server.run(reader, Arc::new(FakeRecorder::default()), stopped));
    let mut client = match beside {
        Beside::Client => {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let body = everything("x").to_string();
            let request = format!(
                "POST /export HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            // The export has begun.
            let mut head = [0; 12];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
            Some(stream)
        }
        _ => None,
    };
    let snapshot = match beside {
        Beside::Snapshot => Some(writer.reader().snapshot().unwrap()),
        _ => None,
    };

    let mut commit = |second: i64| {
        let bookmark = Observation::Bookmark {
            watch: kind(),
            resource_version: format!("{second}"),
        };
        writer.append([(at(second), bookmark)]).unwrap();
    };
    // An export's first look at the store, and the first sheets that it fills, take a moment, which is many of these commits.
    let mut first = 0;
    if client.is_some() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut size, mut steady) = (allocated(&path), 0);
        while steady < STEADY_COMMITS {
            assert!(Instant::now() < deadline, "the file grows and grows");
            commit(first);
            first += 1;
            let now = allocated(&path);
            steady = if now == size { steady + 1 } else { 0 };
            size = now;
        }
    }

    let before = allocated(&path);
    let mut kilobyte = [0; BYTES_A_SECOND];
    for second in first..first + seconds {
        commit(second);
        if let Some(stream) = &mut client {
            stream.read_exact(&mut kilobyte).await.unwrap();
        }
    }
    let growth = allocated(&path).saturating_sub(before);
    drop((client, snapshot));
    stop.send_replace(true);
    serving.await.unwrap();
    growth
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_one_kilobyte_a_second_does_not_make_the_file_grow() {
    let alone = growth(Beside::Nobody, SECONDS).await;
    let beside = growth(Beside::Client, SECONDS).await;
    let pinned = growth(Beside::Snapshot, SECONDS).await;
    println!(
        "{SECONDS} commits: {alone} bytes alone, {beside} beside the client, {pinned} with a snapshot held"
    );
    let slack = 1 << 20;
    assert!(
        beside <= alone + slack,
        "{beside} bytes beside a slow client, {alone} alone"
    );
    // The measure does tell the difference.
    assert!(
        pinned > alone + 4 * slack,
        "{pinned} bytes with a snapshot held"
    );
}
