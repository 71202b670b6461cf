//! The volumes of a pod's spec, the larger half of it.

use super::primitives::{Any, Bool, I32, I64, Quantity, Str, Time};
use super::{
    Field, LabelSelector, LocalObjectReference, ObjectFieldSelector, ResourceFieldSelector, Type,
};

schema! {
    AWSElasticBlockStoreVolumeSource { fsType: Str, partition: I32, readOnly: Bool, volumeID = Str }
    AzureDiskVolumeSource {
        cachingMode: Str, diskName = Str, diskURI = Str, fsType: Str, kind: Str, readOnly: Bool,
    }
    AzureFileVolumeSource { readOnly: Bool, secretName = Str, shareName = Str }
    CSIVolumeSource {
        driver = Str, fsType: Str, nodePublishSecretRef: LocalObjectReference, readOnly: Bool,
        volumeAttributes: {Str},
    }
    CephFSVolumeSource {
        monitors = [Str], path: Str, readOnly: Bool, secretFile: Str, secretRef: LocalObjectReference, user: Str,
    }
    CinderVolumeSource { fsType: Str, readOnly: Bool, secretRef: LocalObjectReference, volumeID = Str }
    ClusterTrustBundleProjection {
        labelSelector: LabelSelector, name: Str, optional: Bool, path = Str, signerName: Str,
    }
    ConfigMapProjection { items: [KeyToPath], name = Str, optional: Bool }
    ConfigMapVolumeSource { defaultMode: I32, items: [KeyToPath], name = Str, optional: Bool }
    DownwardAPIProjection { items: [DownwardAPIVolumeFile] }
    DownwardAPIVolumeFile {
        fieldRef: ObjectFieldSelector, mode: I32, path = Str, resourceFieldRef: ResourceFieldSelector,
    }
    DownwardAPIVolumeSource { defaultMode: I32, items: [DownwardAPIVolumeFile] }
    EmptyDirVolumeSource { medium: Str, sizeLimit: Quantity }
    EphemeralVolumeSource { volumeClaimTemplate: PersistentVolumeClaimTemplate }
    FCVolumeSource { fsType: Str, lun: I32, readOnly: Bool, targetWWNs: [Str], wwids: [Str] }
    FlexVolumeSource { driver = Str, fsType: Str, options: {Str}, readOnly: Bool, secretRef: LocalObjectReference }
    FlockerVolumeSource { datasetName: Str, datasetUUID: Str }
    GCEPersistentDiskVolumeSource { fsType: Str, partition: I32, pdName = Str, readOnly: Bool }
    GitRepoVolumeSource { directory: Str, repository = Str, revision: Str }
    GlusterfsVolumeSource { endpoints = Str, path = Str, readOnly: Bool }
    HostPathVolumeSource { path = Str, type: Str }
    ISCSIVolumeSource {
        chapAuthDiscovery: Bool, chapAuthSession: Bool, fsType: Str, initiatorName: Str, iqn = Str,
        iscsiInterface: Str, lun = I32, portals: [Str], readOnly: Bool, secretRef: LocalObjectReference,
        targetPortal = Str,
    }
    KeyToPath { key = Str, mode: I32, path = Str }
    ManagedFieldsEntry {
        apiVersion: Str, fieldsType: Str, fieldsV1: Any, manager: Str, operation: Str, subresource: Str,
        time: Time,
    }
    NFSVolumeSource { path = Str, readOnly: Bool, server = Str }
    ObjectMeta {
        annotations: {Str}, creationTimestamp: Time, deletionGracePeriodSeconds: I64, deletionTimestamp: Time,
        finalizers: [Str], generateName: Str, generation: I64, labels: {Str}, managedFields: [ManagedFieldsEntry],
        name: Str, namespace: Str, ownerReferences: [OwnerReference], resourceVersion: Str, selfLink: Str,
        uid: Str,
    }
    OwnerReference {
        apiVersion = Str, blockOwnerDeletion: Bool, controller: Bool, kind = Str, name = Str, uid = Str,
    }
    PersistentVolumeClaimSpec {
        accessModes: [Str], dataSource: TypedLocalObjectReference, dataSourceRef: TypedObjectReference,
        resources: VolumeResourceRequirements, selector: LabelSelector, storageClassName: Str,
        volumeAttributesClassName: Str, volumeMode: Str, volumeName: Str,
    }
    PersistentVolumeClaimTemplate { metadata: ObjectMeta, spec = PersistentVolumeClaimSpec }
    PersistentVolumeClaimVolumeSource { claimName = Str, readOnly: Bool }
    PhotonPersistentDiskVolumeSource { fsType: Str, pdID = Str }
    PortworxVolumeSource { fsType: Str, readOnly: Bool, volumeID = Str }
    ProjectedVolumeSource { defaultMode: I32, sources: [VolumeProjection] }
    QuobyteVolumeSource { group: Str, readOnly: Bool, registry = Str, tenant: Str, user: Str, volume = Str }
    RBDVolumeSource {
        fsType: Str, image = Str, keyring: Str, monitors = [Str], pool: Str, readOnly: Bool,
        secretRef: LocalObjectReference, user: Str,
    }
    ScaleIOVolumeSource {
        fsType: Str, gateway = Str, protectionDomain: Str, readOnly: Bool, secretRef = LocalObjectReference,
        sslEnabled: Bool, storageMode: Str, storagePool: Str, system = Str, volumeName: Str,
    }
    SecretProjection { items: [KeyToPath], name = Str, optional: Bool }
    SecretVolumeSource { defaultMode: I32, items: [KeyToPath], optional: Bool, secretName: Str }
    ServiceAccountTokenProjection { audience: Str, expirationSeconds: I64, path = Str }
    StorageOSVolumeSource {
        fsType: Str, readOnly: Bool, secretRef: LocalObjectReference, volumeName: Str, volumeNamespace: Str,
    }
    TypedLocalObjectReference { apiGroup: Str, kind = Str, name = Str }
    TypedObjectReference { apiGroup: Str, kind = Str, name = Str, namespace: Str }
    Volume {
        awsElasticBlockStore: AWSElasticBlockStoreVolumeSource, azureDisk: AzureDiskVolumeSource,
        azureFile: AzureFileVolumeSource, cephfs: CephFSVolumeSource, cinder: CinderVolumeSource,
        configMap: ConfigMapVolumeSource, csi: CSIVolumeSource, downwardAPI: DownwardAPIVolumeSource,
        emptyDir: EmptyDirVolumeSource, ephemeral: EphemeralVolumeSource, fc: FCVolumeSource,
        flexVolume: FlexVolumeSource, flocker: FlockerVolumeSource,
        gcePersistentDisk: GCEPersistentDiskVolumeSource, gitRepo: GitRepoVolumeSource,
        glusterfs: GlusterfsVolumeSource, hostPath: HostPathVolumeSource, iscsi: ISCSIVolumeSource, name = Str,
        nfs: NFSVolumeSource, persistentVolumeClaim: PersistentVolumeClaimVolumeSource,
        photonPersistentDisk: PhotonPersistentDiskVolumeSource, portworxVolume: PortworxVolumeSource,
        projected: ProjectedVolumeSource, quobyte: QuobyteVolumeSource, rbd: RBDVolumeSource,
        scaleIO: ScaleIOVolumeSource, secret: SecretVolumeSource, storageos: StorageOSVolumeSource,
        vsphereVolume: VsphereVirtualDiskVolumeSource,
    }
    VolumeProjection {
        clusterTrustBundle: ClusterTrustBundleProjection, configMap: ConfigMapProjection,
        downwardAPI: DownwardAPIProjection, secret: SecretProjection,
        serviceAccountToken: ServiceAccountTokenProjection,
    }
    VolumeResourceRequirements { limits: {Quantity}, requests: {Quantity} }
    VsphereVirtualDiskVolumeSource { fsType: Str, storagePolicyID: Str, storagePolicyName: Str, volumePath = Str }
}
