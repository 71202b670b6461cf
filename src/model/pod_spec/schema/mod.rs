//! What Kubernetes 1.30 knows of a pod's spec, as data: SimKube reads pods through its types, and they drop the rest.
//!
//! In the tables, `name: Type` is an optional field, `name = Type` one that is always written (with its zero value
//! where it is absent), `[T]` a list and `{T}` a map from strings. Taken from the Kubernetes 1.30 API as the
//! k8s-openapi crate (feature `v1_30`) reads and writes it; `tests/compat` compares the two.

/// The type of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    /// A boolean.
    Bool,
    /// A string.
    Str,
    /// A 32-bit or 64-bit integer.
    Int,
    /// A number or a name (of a port).
    IntOrString,
    /// An amount with a unit; integers become strings.
    Quantity,
    /// A time, written in whole seconds of UTC.
    Time,
    /// Anything, kept as it is.
    Any,
    /// A list.
    List(&'static Type),
    /// A map from strings.
    Map(&'static Type),
    /// Named fields, sorted by the bytes of their names.
    Object(&'static [Field]),
}

/// One field of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) holds: Type,
    /// Whether it is written where it is absent or null.
    pub(super) always: bool,
}

macro_rules! field_type {
    ([$item:ident]) => {
        Type::List(&$item)
    };
    ({$item:ident}) => {
        Type::Map(&$item)
    };
    ($plain:ident) => {
        $plain
    };
}

macro_rules! is_always_written {
    (=) => {
        true
    };
    (:) => {
        false
    };
}

macro_rules! schema {
    ($($object:ident { $($field:ident $presence:tt $holds:tt),+ $(,)? })+) => {
        $(
            #[allow(non_upper_case_globals, reason = "named as in the Kubernetes API")]
            pub(in crate::model::pod_spec) const $object: Type = Type::Object(&[
                $(Field {
                    name: stringify!($field),
                    holds: field_type!($holds),
                    always: is_always_written!($presence),
                }),+
            ]);
        )+
    };
}

mod volumes;

use primitives::{Bool, I32, I64, IntOrString, Quantity, Str};
use volumes::Volume;

/// The types without fields, under the names that the tables use.
#[allow(non_upper_case_globals, reason = "named as in the Kubernetes API")]
mod primitives {
    use super::Type;

    pub(super) const Any: Type = Type::Any;
    pub(super) const Bool: Type = Type::Bool;
    pub(super) const I32: Type = Type::Int;
    pub(super) const I64: Type = Type::Int;
    pub(super) const IntOrString: Type = Type::IntOrString;
    pub(super) const Quantity: Type = Type::Quantity;
    pub(super) const Str: Type = Type::Str;
    pub(super) const Time: Type = Type::Time;
}

schema! {
    Affinity { nodeAffinity: NodeAffinity, podAffinity: PodAffinity, podAntiAffinity: PodAntiAffinity }
    AppArmorProfile { localhostProfile: Str, type = Str }
    Capabilities { add: [Str], drop: [Str] }
    ClaimSource { resourceClaimName: Str, resourceClaimTemplateName: Str }
    ConfigMapEnvSource { name = Str, optional: Bool }
    ConfigMapKeySelector { key = Str, name = Str, optional: Bool }
    Container {
        args: [Str], command: [Str], env: [EnvVar], envFrom: [EnvFromSource], image: Str, imagePullPolicy: Str,
        lifecycle: Lifecycle, livenessProbe: Probe, name = Str, ports: [ContainerPort], readinessProbe: Probe,
        resizePolicy: [ContainerResizePolicy], resources: ResourceRequirements, restartPolicy: Str,
        securityContext: SecurityContext, startupProbe: Probe, stdin: Bool, stdinOnce: Bool,
        terminationMessagePath: Str, terminationMessagePolicy: Str, tty: Bool, volumeDevices: [VolumeDevice],
        volumeMounts: [VolumeMount], workingDir: Str,
    }
    ContainerPort { containerPort = I32, hostIP: Str, hostPort: I32, name: Str, protocol: Str }
    ContainerResizePolicy { resourceName = Str, restartPolicy = Str }
    EnvFromSource { configMapRef: ConfigMapEnvSource, prefix: Str, secretRef: SecretEnvSource }
    EnvVar { name = Str, value: Str, valueFrom: EnvVarSource }
    EnvVarSource {
        configMapKeyRef: ConfigMapKeySelector, fieldRef: ObjectFieldSelector,
        resourceFieldRef: ResourceFieldSelector, secretKeyRef: SecretKeySelector,
    }
    EphemeralContainer {
        args: [Str], command: [Str], env: [EnvVar], envFrom: [EnvFromSource], image: Str, imagePullPolicy: Str,
        lifecycle: Lifecycle, livenessProbe: Probe, name = Str, ports: [ContainerPort], readinessProbe: Probe,
        resizePolicy: [ContainerResizePolicy], resources: ResourceRequirements, restartPolicy: Str,
        securityContext: SecurityContext, startupProbe: Probe, stdin: Bool, stdinOnce: Bool,
        targetContainerName: Str, terminationMessagePath: Str, terminationMessagePolicy: Str, tty: Bool,
        volumeDevices: [VolumeDevice], volumeMounts: [VolumeMount], workingDir: Str,
    }
    ExecAction { command: [Str] }
    GRPCAction { port = I32, service: Str }
    HTTPGetAction { host: Str, httpHeaders: [HTTPHeader], path: Str, port = IntOrString, scheme: Str }
    HTTPHeader { name = Str, value = Str }
    HostAlias { hostnames: [Str], ip = Str }
    LabelSelector { matchExpressions: [LabelSelectorRequirement], matchLabels: {Str} }
    LabelSelectorRequirement { key = Str, operator = Str, values: [Str] }
    Lifecycle { postStart: LifecycleHandler, preStop: LifecycleHandler }
    LifecycleHandler { exec: ExecAction, httpGet: HTTPGetAction, sleep: SleepAction, tcpSocket: TCPSocketAction }
    LocalObjectReference { name = Str }
    NodeAffinity {
        preferredDuringSchedulingIgnoredDuringExecution: [PreferredSchedulingTerm],
        requiredDuringSchedulingIgnoredDuringExecution: NodeSelector,
    }
    NodeSelector { nodeSelectorTerms = [NodeSelectorTerm] }
    NodeSelectorRequirement { key = Str, operator = Str, values: [Str] }
    NodeSelectorTerm { matchExpressions: [NodeSelectorRequirement], matchFields: [NodeSelectorRequirement] }
    ObjectFieldSelector { apiVersion: Str, fieldPath = Str }
    PodAffinity {
        preferredDuringSchedulingIgnoredDuringExecution: [WeightedPodAffinityTerm],
        requiredDuringSchedulingIgnoredDuringExecution: [PodAffinityTerm],
    }
    PodAffinityTerm {
        labelSelector: LabelSelector, matchLabelKeys: [Str], mismatchLabelKeys: [Str],
        namespaceSelector: LabelSelector, namespaces: [Str], topologyKey = Str,
    }
    PodAntiAffinity {
        preferredDuringSchedulingIgnoredDuringExecution: [WeightedPodAffinityTerm],
        requiredDuringSchedulingIgnoredDuringExecution: [PodAffinityTerm],
    }
    PodDNSConfig { nameservers: [Str], options: [PodDNSConfigOption], searches: [Str] }
    PodDNSConfigOption { name: Str, value: Str }
    PodOS { name = Str }
    PodReadinessGate { conditionType = Str }
    PodResourceClaim { name = Str, source: ClaimSource }
    PodSchedulingGate { name = Str }
    PodSecurityContext {
        appArmorProfile: AppArmorProfile, fsGroup: I64, fsGroupChangePolicy: Str, runAsGroup: I64,
        runAsNonRoot: Bool, runAsUser: I64, seLinuxOptions: SELinuxOptions, seccompProfile: SeccompProfile,
        supplementalGroups: [I64], sysctls: [Sysctl], windowsOptions: WindowsSecurityContextOptions,
    }
    PodSpec {
        activeDeadlineSeconds: I64, affinity: Affinity, automountServiceAccountToken: Bool,
        containers = [Container], dnsConfig: PodDNSConfig, dnsPolicy: Str, enableServiceLinks: Bool,
        ephemeralContainers: [EphemeralContainer], hostAliases: [HostAlias], hostIPC: Bool, hostNetwork: Bool,
        hostPID: Bool, hostUsers: Bool, hostname: Str, imagePullSecrets: [LocalObjectReference],
        initContainers: [Container], nodeName: Str, nodeSelector: {Str}, os: PodOS, overhead: {Quantity},
        preemptionPolicy: Str, priority: I32, priorityClassName: Str, readinessGates: [PodReadinessGate],
        resourceClaims: [PodResourceClaim], restartPolicy: Str, runtimeClassName: Str, schedulerName: Str,
        schedulingGates: [PodSchedulingGate], securityContext: PodSecurityContext, serviceAccount: Str,
        serviceAccountName: Str, setHostnameAsFQDN: Bool, shareProcessNamespace: Bool, subdomain: Str,
        terminationGracePeriodSeconds: I64, tolerations: [Toleration],
        topologySpreadConstraints: [TopologySpreadConstraint], volumes: [Volume],
    }
    PreferredSchedulingTerm { preference = NodeSelectorTerm, weight = I32 }
    Probe {
        exec: ExecAction, failureThreshold: I32, grpc: GRPCAction, httpGet: HTTPGetAction,
        initialDelaySeconds: I32, periodSeconds: I32, successThreshold: I32, tcpSocket: TCPSocketAction,
        terminationGracePeriodSeconds: I64, timeoutSeconds: I32,
    }
    ResourceClaim { name = Str }
    ResourceFieldSelector { containerName: Str, divisor: Quantity, resource = Str }
    ResourceRequirements { claims: [ResourceClaim], limits: {Quantity}, requests: {Quantity} }
    SELinuxOptions { level: Str, role: Str, type: Str, user: Str }
    SeccompProfile { localhostProfile: Str, type = Str }
    SecretEnvSource { name = Str, optional: Bool }
    SecretKeySelector { key = Str, name = Str, optional: Bool }
    SecurityContext {
        allowPrivilegeEscalation: Bool, appArmorProfile: AppArmorProfile, capabilities: Capabilities,
        privileged: Bool, procMount: Str, readOnlyRootFilesystem: Bool, runAsGroup: I64, runAsNonRoot: Bool,
        runAsUser: I64, seLinuxOptions: SELinuxOptions, seccompProfile: SeccompProfile,
        windowsOptions: WindowsSecurityContextOptions,
    }
    SleepAction { seconds = I64 }
    Sysctl { name = Str, value = Str }
    TCPSocketAction { host: Str, port = IntOrString }
    Toleration { effect: Str, key: Str, operator: Str, tolerationSeconds: I64, value: Str }
    TopologySpreadConstraint {
        labelSelector: LabelSelector, matchLabelKeys: [Str], maxSkew = I32, minDomains: I32,
        nodeAffinityPolicy: Str, nodeTaintsPolicy: Str, topologyKey = Str, whenUnsatisfiable = Str,
    }
    VolumeDevice { devicePath = Str, name = Str }
    VolumeMount {
        mountPath = Str, mountPropagation: Str, name = Str, readOnly: Bool, recursiveReadOnly: Str, subPath: Str,
        subPathExpr: Str,
    }
    WeightedPodAffinityTerm { podAffinityTerm = PodAffinityTerm, weight = I32 }
    WindowsSecurityContextOptions {
        gmsaCredentialSpec: Str, gmsaCredentialSpecName: Str, hostProcess: Bool, runAsUserName: Str,
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    //! Guards the order of the fields: they are hashed in the order of the tables.
    use super::*;

    fn check(holds: Type, path: &str, objects: &mut usize) {
        match holds {
            Type::List(item) | Type::Map(item) => check(*item, path, objects),
            Type::Object(fields) => {
                *objects += 1;
                assert!(
                    fields.is_sorted_by(|a, b| a.name < b.name),
                    "{path}: fields are not sorted"
                );
                for field in fields {
                    check(field.holds, &format!("{path}.{}", field.name), objects);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_fields_of_every_object_are_sorted_by_bytes() {
        let mut objects = 0;
        check(PodSpec, "PodSpec", &mut objects);
        assert!(objects > 104, "only {objects} objects were reached");
    }
}
