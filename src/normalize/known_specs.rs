//! Pod specs that were read before: all pods of one owner have the same, but for what the pod-spec hash leaves out.
//!
//! To take the hash of a spec means to build it as a tree of values, which costs more than everything else that is done
//! with a pod. Here the spec's text is cut into its parts, those that the hash leaves out are passed over, and the rest is
//! looked up by its blake3 digest. Equal digests mean equal texts, so equal hashes; what is written in another way, or has
//! an unusual form, is only not found.

use std::collections::HashMap;

use super::scan::Scanner;
use crate::limits::POD_SPECS_KNOWN_MAX;
use crate::model::pod_spec::{Kept, Place, is_service_account_volume, kept};

/// What is remembered of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownSpec {
    /// The pod-spec hash.
    pub(super) hash: u64,
    /// Number of its main containers.
    pub(super) containers: usize,
}

/// A digest of all of a spec that its hash depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpecDigest([u8; 32]);

/// The specs of one watch's pods. Good for one [`super::Redaction`]: what it digests is part of the hash. Remembers
/// between [`POD_SPECS_KNOWN_MAX`] and twice as many.
#[derive(Debug, Default)]
pub struct KnownSpecs {
    young: HashMap<SpecDigest, KnownSpec>,
    old: HashMap<SpecDigest, KnownSpec>,
    /// What counts of the spec in hand: blake3 is quick where it gets much at once.
    text: Vec<u8>,
    /// The same of the spec before, and its digest: siblings are listed together.
    last: Vec<u8>,
    last_digest: Option<SpecDigest>,
}

impl KnownSpecs {
    /// Reads a spec: its text, and a digest of everything that its hash depends on, where it has the usual form.
    pub(super) fn scan<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
    ) -> Option<(&'a str, Option<SpecDigest>)> {
        let start = scanner.clone();
        self.text.clear();
        let mut digest = Digest(&mut self.text);
        let read = scanner.written(|scanner| object_part(scanner, &mut digest, Place::PodSpec));
        let found = match read {
            Some((spec, ())) => {
                let digest = match self.last_digest {
                    Some(digest) if self.last == self.text => digest,
                    _ => SpecDigest(*blake3::hash(&self.text).as_bytes()),
                };
                self.last_digest = Some(digest);
                std::mem::swap(&mut self.last, &mut self.text);
                Some((std::str::from_utf8(spec).ok()?, Some(digest)))
            }
            None => {
                *scanner = start;
                Some((scanner.raw()?, None))
            }
        };
        if self.last.len() > TEXT_BYTES_KEPT {
            self.last = Vec::new();
            self.last_digest = None;
        }
        self.text.shrink_to(TEXT_BYTES_KEPT);
        found
    }

    /// What is known of the spec; else what `read` says of it. `digest`: where its text was scanned before.
    pub(super) fn of<E>(
        &mut self,
        spec: &str,
        digest: Option<SpecDigest>,
        read: impl FnOnce() -> Result<KnownSpec, E>,
    ) -> Result<KnownSpec, E> {
        let digest = digest.or_else(|| self.scan(&mut Scanner::new(spec.as_bytes()))?.1);
        let Some(digest) = digest else {
            return read();
        };
        if let Some(known) = self.young.get(&digest) {
            return Ok(*known);
        }
        let known = match self.old.get(&digest) {
            Some(known) => *known,
            None => read()?,
        };
        if self.young.len() >= POD_SPECS_KNOWN_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, known);
        Ok(known)
    }
}

/// Memory that is kept for the text of the next spec, and the longest text that is compared with it, bytes.
const TEXT_BYTES_KEPT: usize = 64 << 10;

struct Digest<'t>(&'t mut Vec<u8>);

impl Digest<'_> {
    fn text(&mut self, text: &[u8]) {
        self.mark(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    fn mark(&mut self, mark: u64) {
        self.0.extend_from_slice(&mark.to_le_bytes());
    }
}

/// Marks in place of a length: no text is that long.
const ITEM_END: u64 = u64::MAX;
const LIST_END: u64 = u64::MAX - 1;

/// Reads an object, and feeds the digest with what counts of it, in the order in which it is written. `None`: it has an
/// unusual form.
fn object_part(scanner: &mut Scanner<'_>, digest: &mut Digest<'_>, place: Place) -> Option<()> {
    scanner.object(|scanner, field| {
        let kept = kept(place, field);
        if let Kept::Nothing = kept {
            return scanner.skip();
        }
        digest.text(field.as_bytes());
        match kept {
            Kept::Nothing => {}
            Kept::Whole => digest.text(scanner.written(Scanner::skip)?.0),
            Kept::Objects(place) => {
                scanner.array(|scanner| {
                    object_part(scanner, digest, place)?;
                    digest.mark(ITEM_END);
                    Some(())
                })?;
                digest.mark(LIST_END);
            }
            Kept::Volumes => {
                scanner.array(|scanner| {
                    let (volume, is_dropped) = scanner.written(is_of_service_account)?;
                    if !is_dropped {
                        digest.text(volume);
                    }
                    Some(())
                })?;
                digest.mark(LIST_END);
            }
        }
        Some(())
    })
}

/// Reads a volume, or a mount of one: whether the hash leaves it out. `None` also where its name is given more than once.
fn is_of_service_account(scanner: &mut Scanner<'_>) -> Option<bool> {
    if !scanner.is_object()? {
        return scanner.skip().map(|()| false);
    }
    let mut found = None;
    scanner.object(|scanner, field| {
        if field != "name" {
            return scanner.skip();
        }
        let is_dropped = if scanner.is_string()? {
            is_service_account_volume(scanner.string()?)
        } else {
            scanner.skip()?;
            false
        };
        match found.replace(is_dropped) {
            None => Some(()),
            Some(_) => None,
        }
    })?;
    Some(found.unwrap_or(false))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    //! Guards against a spec that is taken for another, which would give its pods another owner's lifetime in a replay,
    //! and against a memory that grows with the cluster.

    use serde_json::{Value, json};

    use super::*;

    fn spec() -> Value {
        json!({
            "containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": 80}],
                "volumeMounts": [{"name": "data"}, {"name": "kube-api-access-x7k2p"}]}],
            "initContainers": [{"name": "b", "volumeMounts": [{"name": "kube-api-access-x7k2p"}]}],
            "nodeName": "n1",
            "volumes": [{"name": "data"}, {"name": "kube-api-access-x7k2p", "projected": {}}],
        })
    }

    /// Whether the spec has to be read.
    fn is_new(known: &mut KnownSpecs, spec: &str) -> bool {
        let mut new = false;
        let read = || {
            new = true;
            Ok::<_, std::convert::Infallible>(KnownSpec {
                hash: 0,
                containers: 1,
            })
        };
        known.of(spec, None, read).unwrap();
        new
    }

    #[test]
    fn pods_of_one_owner_have_one_spec() {
        let mut known = KnownSpecs::default();
        let text = spec().to_string();
        assert!(is_new(&mut known, &text));
        assert!(!is_new(&mut known, &text));
        assert!(!is_new(&mut known, &text.replace("x7k2p", "00000")));
        assert!(!is_new(&mut known, &text.replace("\"n1\"", "\"n2\"")));
        assert!(!is_new(&mut known, &text.replace("80", "81")));
        let mut other = spec();
        other["serviceAccountName"] = json!("robot");
        assert!(!is_new(&mut known, &other.to_string()));
    }

    #[test]
    fn what_counts_makes_another_spec() {
        let change = |path: &str, value: Value| {
            let mut spec = spec();
            *spec.pointer_mut(path).unwrap() = value;
            spec.to_string()
        };
        for other in [
            change("/containers/0/image", json!("a:2")),
            change("/containers/0/volumeMounts/0/name", json!("log")),
            change("/containers/0/volumeMounts/1/name", json!("access")),
            change("/initContainers/0/name", json!("c")),
            change("/initContainers", json!([])),
            change("/containers", json!([])),
            change("/volumes/0", json!({"name": "data", "emptyDir": {}})),
            change("/volumes/0/name", json!(1)),
            change("/volumes", json!([])),
        ] {
            let mut known = KnownSpecs::default();
            is_new(&mut known, &spec().to_string());
            assert!(is_new(&mut known, &other), "{other}");
        }
    }

    #[test]
    fn unusual_forms_are_read_every_time() {
        for odd in [
            r#"{"containers": "none"}"#,
            r#"{"volumes": [{"name": "a", "name": "kube-api-access-x"}]}"#,
            "[]",
            "null",
        ] {
            let mut known = KnownSpecs::default();
            assert!(is_new(&mut known, odd) && is_new(&mut known, odd), "{odd}");
        }
    }

    #[test]
    fn what_is_used_is_kept_and_the_rest_is_forgotten() {
        let mut known = KnownSpecs::default();
        let named = |n: usize| format!(r#"{{"hostname":"h{n}"}}"#);
        for n in 0..5 * POD_SPECS_KNOWN_MAX {
            is_new(&mut known, &named(n));
            assert!(!is_new(&mut known, &named(0)), "{n}");
        }
        assert!(known.young.len() + known.old.len() <= 2 * POD_SPECS_KNOWN_MAX);
        assert!(is_new(&mut known, &named(1)));
    }
}
