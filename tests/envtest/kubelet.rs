//! Plays the kubelet: a node that exists only as an object, and pods whose status somebody writes.
//!
//! Each step is a function, for tests that need the order in their own hands ([`Kubelet::run`], [`Kubelet::finish`] ...), and
//! [`Kubelet::drive`] does the steps by itself for tests that only need a cluster in which things work.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::poll::eventually;

/// Pods with this annotation are finished with its value as exit code after [`Kubelet::drive`] has run them.
pub const EXIT_CODE: &str = "envtest/exit-code";

/// How often a driven kubelet looks at its pods.
const SYNC_INTERVAL: Duration = Duration::from_millis(50);
/// The longest that controllers and scheduler take for some hundred pods on a busy machine.
const PODS_DEADLINE: Duration = Duration::from_secs(120);

/// One node, and the one who writes the status of its pods. The functions panic when the API server refuses a write.
#[derive(Clone)]
pub struct Kubelet {
    client: Client,
    node: String,
    /// Held while a pod is reaped. Where one reaper writes a status between the other's grace 0 and the removal, kube-apiserver
    /// removes by name what it found marked, and that may be the next pod of the name, without a line in the audit log.
    reaping: Arc<Mutex<()>>,
}

/// A kubelet that works by itself until this is dropped.
pub struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kubelet {
    /// Creates a node that is ready and has room for 500 pods. A node of this name that exists is taken over.
    pub async fn join(client: Client, node: &str) -> Self {
        let nodes: Api<Node> = Api::all(client.clone());
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {"kubernetes.io/hostname": node}}});
        expect(
            nodes
                .patch(
                    node,
                    &PatchParams::apply("kubelet").force(),
                    &Patch::Apply(object),
                )
                .await,
            "join",
            node,
        );
        let now = now();
        let resources =
            json!({"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "1Ti"});
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "Envtest", "lastHeartbeatTime": now, "lastTransitionTime": now});
        let status = json!({"status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [
                condition("Ready", "True"),
                condition("MemoryPressure", "False"),
                condition("DiskPressure", "False"),
                condition("PIDPressure", "False"),
            ],
        }});
        expect(
            nodes
                .patch_status(node, &PatchParams::default(), &Patch::Merge(status))
                .await,
            "join",
            node,
        );
        Self {
            client,
            node: node.to_owned(),
            reaping: Arc::default(),
        }
    }

    /// The name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Binds a pod to this node, as a scheduler would, unless it has a node already.
    pub async fn bind(&self, namespace: &str, name: &str) -> Pod {
        let pod = self.get(namespace, name).await;
        expect(self.try_bind(pod).await, "bind", name)
    }

    /// Runs a pod (binds it first if nobody did): from now on all its containers are running and ready. After
    /// [`crash`](Self::crash) it runs them again.
    pub async fn run(&self, namespace: &str, name: &str) -> Pod {
        let pod = self.get(namespace, name).await;
        expect(self.try_run(pod).await, "run", name)
    }

    /// Ends all containers of a pod for good: it has Succeeded, or Failed where the exit code is not 0.
    pub async fn finish(&self, namespace: &str, name: &str, exit_code: i32) -> Pod {
        let pod = self.get(namespace, name).await;
        expect(self.try_finish(&pod, exit_code).await, "finish", name)
    }

    /// The containers of a running pod end and wait for their restart (CrashLoopBackOff). The pod stays Running, as pods of a
    /// Deployment do: it has not finished. Two writes, as the kubelet does it: terminated, then waiting with one restart more.
    pub async fn crash(&self, namespace: &str, name: &str, exit_code: i32) -> Pod {
        let pod = self.get(namespace, name).await;
        expect(self.try_crash(&pod, exit_code).await, "crash", name)
    }

    /// Deletes a pod the whole way: asks for it gracefully, as a user or a controller does, and then ends it as the kubelet
    /// does ([`reap`](Self::reap)).
    pub async fn delete(&self, namespace: &str, name: &str) {
        let pod = self.get(namespace, name).await;
        let params = DeleteParams {
            preconditions: preconditions(&pod),
            ..DeleteParams::default()
        };
        expect(
            self.pods(namespace).delete(name, &params).await,
            "delete",
            name,
        );
        // Gone at once when it was not bound or had finished.
        let left = expect(self.pods(namespace).get_opt(name).await, "get", name);
        if let Some(left) = left.filter(|left| left.uid() == pod.uid()) {
            self.reap(&left).await;
        }
    }

    /// Ends a pod that is being deleted: its containers terminate with exit code 0, then the object is removed (grace 0).
    ///
    /// The status of a pod that has finished already is not written again: its times stay.
    pub async fn reap(&self, pod: &Pod) {
        expect(self.try_reap(pod).await, "reap", &pod.name_any());
    }

    /// Removes a pod without asking anybody and without a last status (`kubectl delete --force --grace-period=0`).
    pub async fn force_delete(&self, namespace: &str, name: &str) {
        expect(
            self.pods(namespace)
                .delete(name, &DeleteParams::default().grace_period(0))
                .await,
            "force-delete",
            name,
        );
    }

    /// Waits until exactly `count` pods match the label selector (those that are being deleted do not count), and runs those
    /// that nobody runs yet. They come back in the order of their names.
    pub async fn run_all(&self, namespace: &str, selector: &str, count: usize) -> Vec<Pod> {
        let pods = self.pods(namespace);
        let params = ListParams::default().labels(selector);
        let mut found = eventually(
            PODS_DEADLINE,
            &format!("{count} pods with {selector} in {namespace}"),
            async || {
                let list = pods
                    .list(&params)
                    .await
                    .map_err(|error| error.to_string())?;
                let live: Vec<Pod> = list
                    .items
                    .into_iter()
                    .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                    .collect();
                if live.len() == count {
                    Ok(live)
                } else {
                    Err(format!("{} pods", live.len()))
                }
            },
        )
        .await;
        found.sort_by_key(ResourceExt::name_any);
        let mut running = Vec::new();
        for pod in found {
            running.push(if phase(&pod) == "Pending" {
                self.run(namespace, &pod.name_any()).await
            } else {
                pod
            });
        }
        running
    }

    /// Works by itself until the result is dropped: runs each pod that the scheduler binds to this node, finishes those that
    /// say so ([`EXIT_CODE`]), and reaps those that are being deleted. Whatever fails is tried again, so an API server may go
    /// away and come back.
    pub fn drive(&self) -> Driver {
        let kubelet = self.clone();
        Driver(tokio::spawn(async move {
            let pods: Api<Pod> = Api::all(kubelet.client.clone());
            let params = ListParams::default().fields(&format!("spec.nodeName={}", kubelet.node));
            let mut ticks = tokio::time::interval(SYNC_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Ok(list) = pods.list(&params).await else {
                    continue;
                };
                for pod in list.items {
                    // Err: the pod was changed under way or the API server is away, and the next tick sees what is the case.
                    let _ = kubelet.sync(pod).await;
                }
            }
        }))
    }

    async fn sync(&self, pod: Pod) -> kube::Result<()> {
        if pod.metadata.deletion_timestamp.is_some() {
            return self.try_reap(&pod).await;
        }
        match (phase(&pod), pod.annotations().get(EXIT_CODE)) {
            ("Pending", _) => self.try_run(pod).await.map(drop),
            ("Running", Some(exit_code)) => self
                .try_finish(&pod, exit_code.parse().unwrap())
                .await
                .map(drop),
            _ => Ok(()),
        }
    }

    async fn try_bind(&self, pod: Pod) -> kube::Result<Pod> {
        if pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some())
        {
            return Ok(pod);
        }
        let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
        let pods = self.pods(&namespace);
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": name, "uid": pod.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.node},
        });
        let bound: kube::Result<Value> = pods
            .create_subresource("binding", &name, &PostParams::default(), &binding)
            .await;
        match bound {
            // The scheduler was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        pods.get(&name).await
    }

    async fn try_run(&self, pod: Pod) -> kube::Result<Pod> {
        let pod = self.try_bind(pod).await?;
        let now = now();
        let containers = Containers {
            ready: true,
            restarts_more: 0,
            state: json!({"running": {"startedAt": now}}),
            last_state: None,
        };
        self.write(&pod, "Running", &containers).await
    }

    async fn try_finish(&self, pod: &Pod, exit_code: i32) -> kube::Result<Pod> {
        let phase = if exit_code == 0 {
            "Succeeded"
        } else {
            "Failed"
        };
        let containers = Containers {
            ready: false,
            restarts_more: 0,
            state: terminated(pod, exit_code),
            last_state: None,
        };
        self.write(pod, phase, &containers).await
    }

    async fn try_crash(&self, pod: &Pod, exit_code: i32) -> kube::Result<Pod> {
        let end = terminated(pod, exit_code);
        let ended = Containers {
            ready: false,
            restarts_more: 0,
            state: end.clone(),
            last_state: None,
        };
        let pod = self.write(pod, "Running", &ended).await?;
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
        let waiting = Containers {
            ready: false,
            restarts_more: 1,
            state: back_off,
            last_state: Some(end),
        };
        self.write(&pod, "Running", &waiting).await
    }

    async fn try_reap(&self, pod: &Pod) -> kube::Result<()> {
        let _alone = self.reaping.lock().await;
        let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
        if phase(pod) == "Running" {
            match self.try_finish(pod, 0).await {
                Err(error) if is_another_pods(&error) => return Ok(()),
                other => other.map(drop)?,
            }
        }
        let params = DeleteParams {
            preconditions: preconditions(pod),
            ..DeleteParams::default().grace_period(0)
        };
        match self.pods(&namespace).delete(&name, &params).await {
            // Gone already, or another pod has its name already.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            other => other.map(drop),
        }
    }

    /// Writes the status of a pod: all its containers are in the same state.
    async fn write(&self, pod: &Pod, phase: &str, containers: &Containers) -> kube::Result<Pod> {
        let spec = pod.spec.as_ref().unwrap();
        let before = pod.status.as_ref();
        let now = now();
        let truth = |holds: bool| if holds { "True" } else { "False" };
        let condition = |kind: &str, holds: bool| json!({"type": kind, "status": truth(holds), "lastTransitionTime": now});
        let init: Vec<Value> = spec
            .init_containers
            .iter()
            .flatten()
            .map(|container| containers.of_init(container, &now))
            .collect();
        let main: Vec<Value> = spec
            .containers
            .iter()
            .map(|container| {
                let known = before.and_then(|status| status.container_statuses.as_ref());
                let known = known
                    .and_then(|known| known.iter().find(|status| status.name == container.name));
                containers.of(
                    container,
                    known.map_or(0, |status| status.restart_count),
                    &now,
                )
            })
            .collect();
        let mut status = json!({
            "phase": phase,
            "startTime": before.and_then(|status| status.start_time.as_ref()).map_or_else(|| json!(now), |time| json!(time)),
            "hostIP": "192.0.2.1",
            "conditions": [
                condition("PodScheduled", true),
                condition("Initialized", true),
                condition("ContainersReady", containers.ready),
                condition("Ready", containers.ready),
            ],
            "containerStatuses": main,
        });
        if !init.is_empty() {
            status["initContainerStatuses"] = Value::from(init);
        }
        let (namespace, name) = (pod.namespace().unwrap(), pod.name_any());
        // With the uid in it, the patch is refused where another pod has the name by now.
        let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
        self.pods(&namespace)
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    async fn get(&self, namespace: &str, name: &str) -> Pod {
        expect(self.pods(namespace).get(name).await, "get", name)
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// What all containers of a pod do.
struct Containers {
    ready: bool,
    restarts_more: i32,
    state: Value,
    last_state: Option<Value>,
}

impl Containers {
    fn of(&self, container: &Container, restarts: i32, now: &str) -> Value {
        let mut status = json!({
            "name": container.name,
            "image": container.image,
            "imageID": format!("envtest://{}", container.image.as_deref().unwrap_or_default()),
            "containerID": format!("envtest://{}/{now}", container.name),
            "ready": self.ready,
            "started": self.ready,
            "restartCount": restarts + self.restarts_more,
            "state": self.state,
        });
        if let Some(last) = &self.last_state {
            status["lastState"] = last.clone();
        }
        status
    }

    /// Init containers have succeeded, sidecars (those with a restart policy) do what the others do.
    fn of_init(&self, container: &Container, now: &str) -> Value {
        let mut status = self.of(container, 0, now);
        if container.restart_policy.is_none() {
            status["ready"] = json!(true);
            status["started"] = json!(false);
            status["restartCount"] = json!(0);
            status["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}});
        }
        status
    }
}

/// A container state: ended now, after it ran since the first of the pod's containers started.
fn terminated(pod: &Pod, exit_code: i32) -> Value {
    let now = now();
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let started = statuses
        .filter_map(|status| status.state.as_ref()?.running.as_ref()?.started_at.as_ref())
        .min();
    json!({"terminated": {
        "exitCode": exit_code,
        "reason": if exit_code == 0 { "Completed" } else { "Error" },
        "startedAt": started.map_or_else(|| json!(now), |time| json!(time)),
        "finishedAt": now,
    }})
}

fn preconditions(pod: &Pod) -> Option<Preconditions> {
    Some(Preconditions {
        uid: pod.uid(),
        resource_version: None,
    })
}

/// The phase of a pod, `Pending` where it has none.
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending")
}

/// Whether the status of a pod was refused because the pod is gone, or another has its name by now: an UID that is not the
/// pod's is answered with 422.
fn is_another_pods(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404 || (status.code == 422 && causes.any(|cause| cause.field == "metadata.uid"))
}

/// Kubernetes' own times in a pod are whole seconds.
fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second())
        .unwrap()
        .to_string()
}

#[track_caller]
fn expect<T>(result: Result<T, impl Debug>, what: &str, name: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what} {name}: {error:?}"))
}
