//! The status of a pod, as a kubelet would report it.

use serde_json::Value;

use super::json::{fields, list, object, text, time};
use super::pod::{Pod, Stage};
use super::rng::mix;
use crate::model::Timestamp;

/// Name of a node.
pub(super) fn node_name(node: u32) -> String {
    format!("node-{node:04}.example.com")
}

/// `.status` of the pod.
pub(super) fn render(pod: &Pod) -> Value {
    let mut status = fields([("phase", text(phase(pod))), ("qosClass", text("Burstable"))]);
    let mut insert = |name: &str, value: Value| status.insert(name.to_owned(), value);
    insert("conditions", conditions(pod));
    let Some(scheduled) = pod.scheduled else {
        return Value::Object(status);
    };
    if pod.stage != Stage::Scheduled {
        insert("hostIP", text(ip(100, u64::from(pod.node))));
        insert("podIP", text(ip(10, pod.serial)));
        let ips = object([("ip", text(ip(10, pod.serial)))]);
        insert("podIPs", list([ips]));
    }
    insert("startTime", time(scheduled));
    let mut containers = vec![main_container(pod)];
    if pod.template.has_sidecar() {
        containers.push(sidecar(pod));
    }
    insert("containerStatuses", Value::Array(containers));
    Value::Object(status)
}

fn phase(pod: &Pod) -> &'static str {
    match pod.stage {
        Stage::Pending | Stage::Scheduled => "Pending",
        // A crash that will be restarted is no end: the phase stays.
        Stage::Running | Stage::Waiting => "Running",
        Stage::Ended if pod.exit_code == 0 => "Succeeded",
        Stage::Ended => "Failed",
    }
}

fn ip(first: u32, number: u64) -> String {
    let part = |shift: u32| (number >> shift) & 0xff;
    format!("{first}.{}.{}.{}", 64 + part(16) % 64, part(8), part(0))
}

fn conditions(pod: &Pod) -> Value {
    let created = pod.meta.created;
    let Some(scheduled) = pod.scheduled else {
        return list([condition("PodScheduled", false, created, "Unschedulable")]);
    };
    let unready = match pod.stage {
        Stage::Ended if pod.exit_code == 0 => "PodCompleted",
        _ => "ContainersNotReady",
    };
    let at = pod.ready_changed;
    list([
        condition("Initialized", true, scheduled, ""),
        condition("Ready", pod.ready, at, unready),
        condition("ContainersReady", pod.ready, at, unready),
        condition("PodScheduled", true, scheduled, ""),
    ])
}

/// A condition; the reason stands only where it is not met.
fn condition(kind: &str, met: bool, since: Timestamp, reason: &str) -> Value {
    let mut condition = fields([
        ("type", text(kind)),
        ("status", text(if met { "True" } else { "False" })),
        ("lastTransitionTime", time(since)),
    ]);
    if !met && !reason.is_empty() {
        condition.insert("reason".to_owned(), text(reason));
    }
    Value::Object(condition)
}

fn main_container(pod: &Pod) -> Value {
    let last = match pod.crashed {
        Some((started, ended)) => terminated(pod, started, ended, 1),
        None => object([]),
    };
    let state = match (pod.stage, pod.started, pod.finished) {
        (Stage::Ended, Some(started), Some(finished)) => {
            terminated(pod, started, finished, pod.exit_code)
        }
        (Stage::Running, Some(started), _) => running(started),
        (Stage::Waiting, _, _) => waiting("CrashLoopBackOff"),
        _ => waiting("ContainerCreating"),
    };
    container_status(pod, "app", pod.template.image(), pod.restarts, state, last)
}

fn sidecar(pod: &Pod) -> Value {
    let state = match (pod.first_started, pod.ended) {
        (Some(started), Some(ended)) => terminated(pod, started, ended, 0),
        (Some(started), None) => running(started),
        (None, _) => waiting("ContainerCreating"),
    };
    let image = "registry.example.com/mesh/proxy:1.29.3".to_owned();
    container_status(pod, "proxy", image, 0, state, object([]))
}

fn container_status(
    pod: &Pod,
    name: &str,
    image: String,
    restarts: u32,
    state: Value,
    last: Value,
) -> Value {
    let running = state.get("running").is_some();
    object([
        ("name", text(name)),
        ("image", text(image)),
        ("imageID", text(image_id(pod, name))),
        (
            "ready",
            Value::Bool(running && (pod.ready || name != "app")),
        ),
        ("started", Value::Bool(running)),
        ("restartCount", Value::from(restarts)),
        ("state", state),
        ("lastState", last),
    ])
}

fn image_id(pod: &Pod, name: &str) -> String {
    if pod.first_started.is_none() {
        return String::new();
    }
    let release = if name == "app" {
        pod.template.release
    } else {
        0
    };
    let digest = |part: u64| mix(pod.template.app.aspect(part), u64::from(release));
    format!("sha256:{:016x}{:016x}", digest(30), digest(31))
}

fn running(started: Timestamp) -> Value {
    object([("running", object([("startedAt", time(started))]))])
}

fn waiting(reason: &str) -> Value {
    object([("waiting", object([("reason", text(reason))]))])
}

fn terminated(pod: &Pod, started: Timestamp, finished: Timestamp, exit_code: u32) -> Value {
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    let container = mix(pod.serial, started.as_micros() as u64);
    object([(
        "terminated",
        object([
            ("startedAt", time(started)),
            ("finishedAt", time(finished)),
            ("exitCode", Value::from(exit_code)),
            ("reason", text(reason)),
            (
                "containerID",
                text(format!("containerd://{container:016x}")),
            ),
        ]),
    )])
}
