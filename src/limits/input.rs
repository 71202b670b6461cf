//! What comes from outside: objects, trace files, configs, selectors.

/// Deepest nesting accepted in an object, a trace file or a config.
pub const NESTING_DEPTH_MAX: usize = 128;
/// Largest single object accepted, as MessagePack. etcd's own default limit is 1.5 MiB.
pub const OBJECT_BYTES_MAX: usize = 16 << 20;
/// Longest string accepted as a name, namespace, kind or UID. Kubernetes allows 253.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longest kind (`group/version.Kind`) or name (`namespace/name`) accepted in a trace, and longest field name, bytes.
pub const TRACE_NAME_BYTES_MAX: usize = 4_096;
/// Values (map entries and array elements, at every depth) in one object of a trace. It bounds what an object costs in
/// memory, which can be far more than its bytes; etcd's default limit of 1.5 MiB leaves room for fewer.
pub const OBJECT_VALUES_MAX: usize = 1 << 20;
/// Buffer between a trace file and its reader, bytes.
pub const TRACE_READ_BUFFER_BYTES: usize = 64 << 10;
const _: () = assert!(
    TRACE_NAME_BYTES_MAX >= 3 * NAME_BYTES_MAX + 2,
    "group, version and kind of the greatest length must fit into a trace"
);
/// Largest tracer config accepted, bytes.
pub const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Aliases (`*name`) accepted in a tracer config.
pub const CONFIG_ALIASES_MAX: usize = 256;
/// YAML nodes accepted in a tracer config, and again as many for what its aliases expand to.
pub const CONFIG_NODES_MAX: usize = 16_384;
/// Deepest nesting accepted in a tracer config; the format needs four levels.
pub const CONFIG_DEPTH_MAX: usize = 16;
/// Longest label selector accepted in its text form (`app=web,tier!=db`), bytes.
pub const SELECTOR_BYTES_MAX: usize = 64 << 10;
/// Longest excerpt of a foreign text that an error message repeats, bytes.
pub const ERROR_EXCERPT_BYTES_MAX: usize = 256;
/// Symbolic links that the path of an output may lead through: as many as Linux follows.
pub const LINKS_FOLLOWED_MAX: usize = 40;
