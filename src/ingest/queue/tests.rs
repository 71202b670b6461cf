//! Guards against a writer that sleeps while a whole batch waits, and against one that is woken by each observation.

use super::*;
use crate::clock::ManualClock;
use crate::limits::{BATCH_BYTES_MAX, OBJECT_BYTES_MAX};
use crate::model::{Gvk, Item, ObjectKey, ObservedObject, Uid};

fn bookmark(n: usize) -> Observation {
    Observation::Bookmark {
        watch: Gvk::pod(),
        resource_version: n.to_string(),
    }
}

fn large() -> Observation {
    let object = ObservedObject {
        version: "v1".to_owned(),
        key: ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "ns".to_owned(),
            name: "large".to_owned(),
        },
        uid: Uid("large".to_owned()),
        owners: Vec::new(),
        change_hash: [0; 32],
        spec_hash: 0,
        body: vec![0; OBJECT_BYTES_MAX],
    };
    Observation::Applied {
        watch: Gvk::pod(),
        item: Item {
            object: Some(object),
            ..Item::default()
        },
        resource_version: None,
    }
}

fn new_queue() -> (Queue, Receiver) {
    queue(Arc::new(ManualClock::new(Timestamp::from_seconds(1))))
}

fn most(observations: usize) -> BatchMax {
    BatchMax {
        observations,
        bytes: BATCH_BYTES_MAX,
    }
}

const AGE: Duration = Duration::from_secs(60);

/// Gathers up to `observations_max`; returns how many came, and the virtual time that it took.
async fn gathered(receiver: &mut Receiver, observations_max: usize) -> (usize, Duration) {
    let began = Instant::now();
    let mut batch = Vec::new();
    let max = most(observations_max);
    receiver.gather(&mut batch, max, began + AGE).await;
    (batch.len(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let (queue, mut receiver) = new_queue();
    for n in 0..5 {
        queue.send(bookmark(n)).await.unwrap();
    }
    assert_eq!(gathered(&mut receiver, 3).await, (3, Duration::ZERO));
    // Two are left; the third comes while it sleeps.
    let sender = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        queue.send(bookmark(5)).await.unwrap();
        queue
    });
    let after = gathered(&mut receiver, 3).await;
    assert_eq!(after, (3, Duration::from_secs(1)));
    drop(sender.await.unwrap());
    assert_eq!(gathered(&mut receiver, 3).await, (0, Duration::ZERO));
    assert!(receiver.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_came_until_the_deadline_is_a_batch() {
    let (queue, mut receiver) = new_queue();
    let sender = tokio::spawn(async move {
        for n in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            queue.send(bookmark(n)).await.unwrap();
        }
    });
    let (came, took) = gathered(&mut receiver, 1_000).await;
    assert!((59..=60).contains(&came), "{came}");
    assert_eq!(took, AGE);
    let (came, took) = gathered(&mut receiver, 10).await;
    assert_eq!(came, 10);
    assert!(took <= Duration::from_secs(11), "{took:?}");
    sender.abort();
}

#[tokio::test(start_paused = true)]
async fn large_observations_that_wait_for_room_are_a_batch_too() {
    let (queue, mut receiver) = new_queue();
    let sender = tokio::spawn(async move {
        for _ in 0..4 {
            queue.send(large()).await.unwrap();
        }
    });
    let (came, took) = gathered(&mut receiver, 1_000).await;
    assert!(came >= 1);
    assert_eq!(took, Duration::ZERO);
    sender.abort();
}

#[tokio::test(start_paused = true)]
async fn a_batch_ends_with_the_observation_that_reaches_its_bytes() {
    let (queue, mut receiver) = new_queue();
    for n in 0..4 {
        queue.send(bookmark(n)).await.unwrap();
    }
    let max = BatchMax {
        bytes: bookmark(0).weight_bytes() + 1,
        ..most(1_000)
    };
    let mut batch = Vec::new();
    receiver.gather(&mut batch, max, Instant::now() + AGE).await;
    assert_eq!(batch.len(), 2);
}

/// Sends some at once, and one more every 10 ms for a second; returns how many the first batch has, and its age in
/// milliseconds.
async fn first_batch(at_once: Vec<Observation>) -> (usize, u128) {
    let (queue, mut receiver) = new_queue();
    for observation in at_once {
        queue.send(observation).await.unwrap();
    }
    let sender = tokio::spawn(async move {
        for n in 0..100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            queue.send(bookmark(n)).await.unwrap();
        }
    });
    let began = Instant::now();
    let first = receiver.recv().await.unwrap();
    let batch = receiver.batch(first, most(1_000)).await;
    let age = began.elapsed().as_millis();
    sender.abort();
    (batch.len(), age)
}

#[tokio::test(start_paused = true)]
async fn few_observations_wait_longer_unless_a_list_is_among_them() {
    let few = vec![bookmark(0); 3];
    let (came, age) = first_batch(few.clone()).await;
    assert!((42..=43).contains(&came), "{came}");
    assert_eq!(u64::try_from(age), Ok(BATCH_AGE_MS_QUIET));

    // Until they are no longer few.
    let (came, age) = first_batch(vec![bookmark(0); 50]).await;
    assert_eq!(came, BATCH_OBSERVATIONS_QUIET);
    assert!((130..=140).contains(&age), "{age}");

    let (came, age) = first_batch(vec![bookmark(0); 70]).await;
    assert!((75..=76).contains(&came), "{came}");
    assert_eq!(u64::try_from(age), Ok(BATCH_AGE_MS_MAX));

    let mut list = few;
    list.push(Observation::ListFinished {
        watch: Gvk::pod(),
        resource_version: "7".to_owned(),
    });
    let (_, age) = first_batch(list).await;
    assert_eq!(u64::try_from(age), Ok(BATCH_AGE_MS_MAX));
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_the_batch_before_waits_no_longer_than_others() {
    let half = Duration::from_millis(BATCH_AGE_MS_MAX / 2);
    for (busy, left) in [(half, half), (half * 3, Duration::ZERO)] {
        let (queue, mut receiver) = new_queue();
        for n in 0..BATCH_OBSERVATIONS_QUIET {
            queue.send(bookmark(n)).await.unwrap();
        }
        tokio::time::sleep(busy).await;
        // What comes while the writer is busy is in the batch, too.
        queue.send(bookmark(0)).await.unwrap();
        let began = Instant::now();
        let first = receiver.recv().await.unwrap();
        let batch = receiver.batch(first, most(1_000)).await;
        assert_eq!(batch.len(), BATCH_OBSERVATIONS_QUIET + 1);
        assert_eq!(began.elapsed(), left, "after {busy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_ends_a_batch_of_few() {
    let watch = Gvk::pod;
    for waited_for in [
        Observation::ListFinished {
            watch: watch(),
            resource_version: "7".to_owned(),
        },
        Observation::Sighted { watch: watch() },
        Observation::Ended {
            watch: watch(),
            complete_until: Timestamp::from_seconds(1),
        },
    ] {
        for (comes_ms, ended_ms) in [(200, 200), (20, BATCH_AGE_MS_MAX)] {
            let (queue, mut receiver) = new_queue();
            queue.send(bookmark(0)).await.unwrap();
            let came = waited_for.clone();
            let sender = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(comes_ms)).await;
                queue.send(came).await.unwrap();
                queue
            });
            let began = Instant::now();
            let first = receiver.recv().await.unwrap();
            let batch = receiver.batch(first, most(1_000)).await;
            assert_eq!(batch.len(), 2);
            assert_eq!(
                began.elapsed(),
                Duration::from_millis(ended_ms),
                "{waited_for:?}"
            );
            drop(sender.await.unwrap());
        }
    }
}
