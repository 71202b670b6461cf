//! R14: when a pod has finished, and when that was.

use serde_json::json;

use crate::support::*;

const WEB: &str = "apps/v1.Deployment";

fn play(events: impl FnOnce(&mut Recorder, &Obj)) -> Vec<Lifecycle> {
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    let web = obj(WEB, "ns/web", "web").spec(json!({}));
    recorder.see(s(101), web.applied());
    events(&mut recorder, &web);
    recorder.export(100, 300).trace.lifecycles_of(WEB, "ns/web")
}

#[test]
fn a_crash_looping_pod_runs_until_it_is_deleted() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web);
        recorder.see(s(103), pod.clone().started(103).applied());
        recorder.see(s(105), pod.clone().started(103).finished(105).applied());
        assert_eq!(
            recorder.export(100, 200).trace.lifecycles_of(WEB, "ns/web"),
            [Lifecycle::Running(103)]
        );
        // The restarted container has another start; the pod's does not move.
        recorder.see(s(110), pod.clone().started(110).applied());
        recorder.see(s(112), pod.clone().started(110).finished(112).applied());
        recorder.see(s(120), pod.clone().started(120).applied());
        recorder.see(s(130), pod.started(120).deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 130)]);
}

#[test]
fn a_terminal_phase_ends_a_pod_at_its_containers_end() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web).started(103);
        recorder.see(s(103), pod.clone().applied());
        recorder.see(s(110), pod.clone().finished(108).terminal().applied());
        recorder.see(s(150), pod.finished(108).terminal().deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 108)]);
}

#[test]
fn the_final_object_of_a_delete_event_knows_the_end_best() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web).started(103);
        recorder.see(s(103), pod.clone().applied());
        recorder.see(s(150), pod.finished(140).deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 140)]);
}

#[test]
fn a_pod_that_is_there_after_all_ended_when_a_list_lacked_it() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web).started(103);
        recorder.see(s(103), pod.clone().applied());
        recorder.list(s(110), &gvk("v1.Pod"), []);
        recorder.see(s(120), pod.clone().applied());
        recorder.see(s(150), pod.deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 110)]);
}

#[test]
fn the_end_of_an_evicted_pod_is_that_of_its_containers_once_they_tell() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web).started(103);
        recorder.see(s(103), pod.clone().applied());
        // Failed by the node controller: the kubelet has not spoken yet.
        recorder.see(s(110), pod.clone().terminal().applied());
        recorder.see(s(150), pod.finished(120).terminal().deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 120)]);
}

#[test]
fn a_terminal_pod_whose_containers_never_tell_ended_when_that_was_seen() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web).started(103);
        recorder.see(s(110), pod.clone().terminal().applied());
        recorder.see(s(150), pod.terminal().deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 110)]);
}

#[test]
fn a_deleted_pod_without_times_ended_when_it_was_deleted() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web);
        recorder.see(s(103), pod.clone().started(103).applied());
        recorder.see(s(150), pod.deleted());
    });
    assert_eq!(lifecycles, [Lifecycle::Finished(103, 150)]);
}

#[test]
fn a_pod_that_never_started_has_no_lifecycle() {
    let lifecycles = play(|recorder, web| {
        let pod = pod("ns/p", "p").owned_by(web);
        recorder.see(s(103), pod.clone().applied());
        recorder.see(s(150), pod.deleted());
    });
    assert_eq!(lifecycles, []);
}

#[test]
fn a_pod_first_seen_when_it_was_over_has_its_lifecycle() {
    let lifecycles = play(|recorder, web| {
        let job = pod("ns/p", "p")
            .owned_by(web)
            .started(80)
            .finished(104)
            .terminal();
        recorder.see(s(120), job.applied());
    });
    // The start is cut at the window's.
    assert_eq!(lifecycles, [Lifecycle::Finished(100, 104)]);
}

#[test]
fn windows_hold_the_lifecycles_that_overlap_them() {
    let mut recorder = Recorder::listed(config(&["apps/v1.Deployment: {trackLifecycle: true}"]));
    let web = obj(WEB, "ns/web", "web").spec(json!({}));
    recorder.see(s(101), web.applied());
    let over = pod("ns/over", "over")
        .owned_by(&web)
        .started(110)
        .finished(150)
        .terminal();
    let runs = pod("ns/runs", "runs").owned_by(&web).started(120);
    recorder.see_all(s(160), [over.applied(), runs.applied()]);
    let of = |start, end| {
        recorder
            .export(start, end)
            .trace
            .lifecycles_of(WEB, "ns/web")
    };
    use Lifecycle::{Finished, Running};
    assert_eq!(of(100, 200), [Running(120), Finished(110, 150)]);
    // One that spans the whole window is kept, also where nothing else happens in it.
    assert_eq!(of(130, 140), [Running(130), Finished(130, 150)]);
    assert_eq!(of(102, 110), []);
    assert_eq!(of(102, 111), [Finished(110, 150)]);
    assert_eq!(of(150, 151), [Running(150), Finished(150, 150)]);
    assert_eq!(of(151, 152), [Running(151)]);
    assert_eq!(of(500, 501), [Running(500)]);
}

#[test]
fn a_bare_pod_that_finished_before_the_window_is_not_part_of_it() {
    let mut recorder = Recorder::listed(config(&["v1.Pod: {trackLifecycle: true}"]));
    let bare = pod("ns/p", "p").started(103).tracked();
    recorder.see(s(103), bare.applied());
    recorder.see(s(110), bare.clone().finished(110).terminal().applied());
    assert_eq!(recorder.export(105, 120).trace.start_names(), ["Pod ns/p"]);
    assert_eq!(recorder.export(110, 120).trace.start_names(), ["Pod ns/p"]);
    assert_eq!(recorder.export(111, 120).trace.start_names(), [""; 0]);
    recorder.see(s(150), bare.finished(110).terminal().deleted());
    assert_eq!(recorder.export(111, 200).trace.told(), [""; 0]);
    assert_eq!(recorder.export(105, 200).trace.told(), ["150 - Pod ns/p"]);
}
