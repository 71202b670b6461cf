//! Guards against pods without owners for ever: a look-up that fails once and is never tried again, one that believes
//! a re-created namesake, or thousands of single look-ups at a cold start (R12).

use serde_json::json;

use super::fake::{Fake, Reply};
use super::{Running, pages, start};
use crate::limits::{
    OWNER_GONE_SECONDS_MAX, OWNER_LOOKUPS_BEFORE_LIST, OWNER_LOOKUPS_MAX,
    OWNER_LOOKUPS_PER_KIND_MAX, OWNERS_WANTED_MAX,
};
use crate::model::{Gvk, Observation, OwnerFacts, Uid};
use crate::watch::WantedOwner;

const SETS: &str = "apps/v1.ReplicaSet";
const SETS_PATH: &str = "/apis/apps/v1/replicasets";

fn fake() -> Fake {
    let fake = Fake::new();
    fake.serve(SETS, "replicasets", true);
    fake.serve("v1.Node", "nodes", false);
    fake
}

fn wanted(gvk: &str, uid: &str, name: &str) -> WantedOwner {
    WantedOwner {
        uid: uid.into(),
        gvk: gvk.parse().unwrap(),
        namespace: "default".into(),
        name: name.into(),
    }
}

fn want(running: &Running, owners: impl IntoIterator<Item = WantedOwner>) {
    *running.wanted.0.lock().unwrap() = owners.into_iter().collect();
}

/// The next answer; the owner is then no longer wanted, as a store would have it.
async fn answer(running: &mut Running) -> (Uid, Option<OwnerFacts>) {
    loop {
        if let Observation::Owner { uid, facts } = running.next().await {
            if facts.is_some() {
                running
                    .wanted
                    .0
                    .lock()
                    .unwrap()
                    .retain(|owner| owner.uid != uid);
            }
            return (uid, facts);
        }
    }
}

fn gets(path: &str) -> bool {
    path.contains("/replicasets/")
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_found_by_its_metadata() {
    let fake = fake();
    let owners = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web", "controller": true}]);
    let set = fake.put(
        SETS,
        "default/web-1",
        json!({"metadata": {"ownerReferences": owners}}),
    );
    let node = fake.put("v1.Node", "n1", json!({}));
    let mut running = start(&fake, &[], &[]);
    want(
        &running,
        [
            wanted(SETS, &format!("uid-web-1-{set}"), "web-1"),
            wanted("v1.Node", &format!("uid-n1-{node}"), "n1"),
        ],
    );
    let mut found = [answer(&mut running).await, answer(&mut running).await];
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let [(_, of_node), (_, of_set)] = found;
    let of_set = of_set.unwrap();
    assert_eq!(
        (of_set.namespace.as_str(), of_set.name.as_str()),
        ("default", "web-1")
    );
    assert_eq!(of_set.gvk, SETS.parse::<Gvk>().unwrap());
    assert_eq!(of_set.owners.len(), 1);
    assert_eq!(of_set.owners[0].uid, Uid::from("uid-web"));
    // A cluster-scoped owner lives in no namespace, whatever it owns.
    let of_node = of_node.unwrap();
    assert_eq!(
        (of_node.namespace.as_str(), of_node.name.as_str()),
        ("", "n1")
    );
    assert_eq!(fake.requests(|path| path == "/api/v1/nodes/n1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_namesake_with_another_uid_is_not_believed() {
    let fake = fake();
    fake.put(SETS, "default/web-1", json!({}));
    let mut running = start(&fake, &[], &[]);
    want(&running, [wanted(SETS, "uid-before", "web-1")]);
    assert_eq!(answer(&mut running).await, ("uid-before".into(), None));
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_looked_for_less_and_less_often_but_never_given_up() {
    let fake = fake();
    let mut running = start(&fake, &[], &[]);
    want(&running, [wanted(SETS, "uid-x", "x")]);
    running.within(3 * 3_600).await;
    let requests = fake.requests(gets);
    let waits: Vec<_> = requests
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).as_secs())
        .collect();
    assert!(
        (10..=12).contains(&waits[0]) && (20..=22).contains(&waits[1]),
        "{waits:?}"
    );
    let longest = OWNER_GONE_SECONDS_MAX;
    assert!(
        (longest..longest + 2).contains(waits.last().unwrap()),
        "{waits:?}"
    );
    assert_eq!(
        running.status.owners().gone,
        u64::try_from(requests.len()).unwrap()
    );
    // It appears after all (a cache lagged behind).
    let uid = format!("uid-x-{}", fake.put(SETS, "default/x", json!({})));
    want(&running, [wanted(SETS, &uid, "x")]);
    assert!(answer(&mut running).await.1.is_some());
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_and_never_taken_for_an_answer() {
    for reply in [
        Reply::Status(500),
        Reply::Status(503),
        Reply::Status(403),
        Reply::Hole,
        Reply::Silence,
        Reply::Broken("{".into()),
        Reply::Body("<html>".into()),
        Reply::Body("{\"metadata\":{}}".into()),
    ] {
        let fake = fake();
        let uid = format!("uid-a-{}", fake.put(SETS, "default/a", json!({})));
        fake.rule(3, reply, gets);
        let mut running = start(&fake, &[], &[]);
        want(&running, [wanted(SETS, &uid, "a")]);
        let (found, facts) = answer(&mut running).await;
        assert!(found.0 == uid && facts.is_some());
        assert_eq!(running.status.owners().failures, 3);
        assert_eq!(fake.requests(gets).len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_never_answers_does_not_hold_up_the_others() {
    let fake = fake();
    let uid = format!("uid-n1-{}", fake.put("v1.Node", "n1", json!({})));
    fake.rule(usize::MAX, Reply::Hole, gets);
    let mut running = start(&fake, &[], &[]);
    let sets = (0..30).map(|n| wanted(SETS, &format!("u{n}"), &format!("s{n}")));
    want(&running, sets);
    running.within(5).await;
    assert_eq!(fake.requests(gets).len(), OWNER_LOOKUPS_PER_KIND_MAX);
    let begin = tokio::time::Instant::now();
    running
        .wanted
        .0
        .lock()
        .unwrap()
        .push(wanted("v1.Node", &uid, "n1"));
    assert!(answer(&mut running).await.1.is_some());
    assert!(begin.elapsed().as_secs() <= 2, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_owners_of_a_kind_are_found_by_one_list() {
    let fake = fake();
    let mut owners = Vec::new();
    for n in 0..1_200 {
        let version = fake.put(SETS, &format!("default/s{n:04}"), json!({}));
        owners.push(wanted(
            SETS,
            &format!("uid-s{n:04}-{version}"),
            &format!("s{n:04}"),
        ));
    }
    // Some that no list has.
    owners.extend((0..10).map(|n| wanted(SETS, &format!("gone-{n}"), &format!("g{n}"))));
    let mut running = start(&fake, &[], &[]);
    want(&running, owners);
    let mut found = 0;
    for _ in 0..1_210 {
        found += usize::from(answer(&mut running).await.1.is_some());
    }
    assert_eq!(found, 1_200);
    assert_eq!(fake.requests(pages(SETS_PATH)).len(), 3);
    assert_eq!(fake.requests(gets).len(), 10);
    assert_eq!(running.status.owners().lists, 1);
}

#[tokio::test(start_paused = true)]
async fn more_owners_than_are_asked_for_at_once_are_found_by_lists() {
    let fake = fake();
    let count = OWNERS_WANTED_MAX + 1_500;
    let mut owners = Vec::new();
    for n in 0..count {
        let version = fake.put(SETS, &format!("default/s{n:04}"), json!({}));
        let uid = format!("uid-s{n:04}-{version}");
        owners.push(wanted(SETS, &uid, &format!("s{n:04}")));
    }
    let begin = tokio::time::Instant::now();
    let mut running = start(&fake, &[], &[]);
    want(&running, owners);
    for _ in 0..count {
        assert!(answer(&mut running).await.1.is_some());
    }
    assert_eq!(fake.requests(gets).len(), 0);
    assert_eq!(running.status.owners().lists, 2);
    // Others turn up a little later.
    let late = (0..1_000).map(|n| {
        let version = fake.put(SETS, &format!("default/t{n:04}"), json!({}));
        wanted(SETS, &format!("uid-t{n:04}-{version}"), &format!("t{n:04}"))
    });
    let late: Vec<_> = late.collect();
    want(&running, late);
    for _ in 0..1_000 {
        assert!(answer(&mut running).await.1.is_some());
    }
    assert_eq!(running.status.owners().lists, 3);
    assert!(begin.elapsed().as_secs() < 15, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_leaves_the_single_look_ups_gently() {
    let fake = fake();
    let mut owners = Vec::new();
    for n in 0..200 {
        let version = fake.put(SETS, &format!("default/s{n:04}"), json!({}));
        owners.push(wanted(
            SETS,
            &format!("uid-s{n:04}-{version}"),
            &format!("s{n:04}"),
        ));
    }
    fake.rule(usize::MAX, Reply::Status(500), pages(SETS_PATH));
    let begin = tokio::time::Instant::now();
    let mut running = start(&fake, &[], &[]);
    want(&running, owners);
    for _ in 0..200 {
        assert!(answer(&mut running).await.1.is_some());
    }
    let rounds = u64::try_from(200 / OWNER_LOOKUPS_BEFORE_LIST).unwrap();
    let seconds = begin.elapsed().as_secs();
    assert!((rounds..rounds + 5).contains(&seconds), "{seconds}");
    assert_eq!(fake.requests(pages(SETS_PATH)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_in_a_version_that_is_no_longer_served_is_found_in_another() {
    let fake = fake();
    let uid = format!("uid-a-{}", fake.put(SETS, "default/a", json!({})));
    let mut running = start(&fake, &[], &[]);
    want(&running, [wanted("apps/v1beta1.ReplicaSet", &uid, "a")]);
    assert!(answer(&mut running).await.1.is_some());
}

#[tokio::test(start_paused = true)]
async fn owners_that_cannot_exist_are_gone_and_ask_for_nothing_else() {
    let fake = fake();
    let mut running = start(&fake, &[], &[]);
    want(
        &running,
        [
            wanted(SETS, "u1", "../../../secrets/token"),
            wanted("no.such.group/v1.Thing", "u2", "a"),
            wanted("../v1.Thing", "u3", "a"),
        ],
    );
    let mut uids = Vec::new();
    for _ in 0..3 {
        let (uid, facts) = answer(&mut running).await;
        assert_eq!(facts, None);
        uids.push(uid.0);
    }
    uids.sort();
    assert_eq!(uids, ["u1", "u2", "u3"]);
    assert!(
        fake.requests(|path| path.contains("secrets") || path.contains(".."))
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn look_ups_under_way_are_bounded() {
    let fake = fake();
    let kinds: Vec<_> = (0..6).map(|n| format!("example.com/v1.K{n}")).collect();
    for (n, gvk) in kinds.iter().enumerate() {
        fake.serve(gvk, &format!("k{n}s"), true);
    }
    fake.rule(usize::MAX, Reply::Hole, |path| {
        path.contains("/namespaces/")
    });
    let mut running = start(&fake, &[], &[]);
    let owners = kinds
        .iter()
        .flat_map(|gvk| (0..10).map(move |n| wanted(gvk, &format!("{gvk}-{n}"), &format!("o{n}"))));
    want(&running, owners);
    running.within(5).await;
    let asked = fake.requests(|path| path.contains("/namespaces/")).len();
    assert_eq!(asked, OWNER_LOOKUPS_MAX);
}

#[tokio::test(start_paused = true)]
async fn lists_of_owners_under_way_are_bounded_with_the_look_ups() {
    let fake = fake();
    let kinds: Vec<_> = (0..2 * OWNER_LOOKUPS_MAX)
        .map(|n| format!("example.com/v1.K{n}"))
        .collect();
    for (n, gvk) in kinds.iter().enumerate() {
        fake.serve(gvk, &format!("k{n}s"), true);
    }
    fake.rule(usize::MAX, Reply::Hole, |path| {
        path.starts_with("/apis/example.com/v1/k")
    });
    let mut running = start(&fake, &[], &[]);
    let owners = kinds.iter().flat_map(|gvk| {
        (0..=OWNER_LOOKUPS_BEFORE_LIST).map(move |n| wanted(gvk, &format!("{gvk}-{n}"), "o"))
    });
    want(&running, owners);
    running.within(5).await;
    let asked = fake
        .requests(|path| path.contains("limit=") && path.contains("/k"))
        .len();
    assert_eq!(asked, OWNER_LOOKUPS_MAX);
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_less_and_less_often() {
    // One that concerns a single object, and one that concerns its whole kind.
    for code in [500, 403] {
        let fake = fake();
        let uid = format!("uid-a-{}", fake.put(SETS, "default/a", json!({})));
        fake.rule(6, Reply::Status(code), gets);
        let mut running = start(&fake, &[], &[]);
        want(&running, [wanted(SETS, &uid, "a")]);
        let begin = tokio::time::Instant::now();
        assert!(answer(&mut running).await.1.is_some());
        // Half of 0.5 + 1 + 2 + 4 + 8 + 16 s, at least.
        assert!(begin.elapsed().as_secs() >= 15, "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_read_is_not_asked_for_every_one_of_its_owners() {
    let fake = fake();
    fake.rule(usize::MAX, Reply::Status(403), gets);
    let mut running = start(&fake, &[], &[]);
    want(
        &running,
        (0..50).map(|n| wanted(SETS, &format!("u{n}"), &format!("s{n}"))),
    );
    running.within(600).await;
    let asked = fake.requests(gets).len();
    assert!(
        (10..150).contains(&asked),
        "{asked} look-ups in ten minutes"
    );
    assert_eq!(running.status.owners().gone, 0);
}
