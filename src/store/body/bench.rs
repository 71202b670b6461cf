//! The codec of bodies without the tables, for `benches/bodies.rs`. Compiled with the feature `bench` only.

use std::collections::HashMap;

use super::compress::{Compressor, Decompressor, Samples};
use super::delta;
use crate::limits::GROUP_VERSIONS_MAX;
use crate::store::versions::short_difference;

/// Encodes and decodes the versions of objects by the rules of the store.
#[derive(Default)]
pub struct Codec {
    compressor: Compressor,
    decompressor: Decompressor,
    samples: HashMap<u64, Samples>,
    dictionaries: HashMap<u64, Vec<u8>>,
}

/// One encoded body.
pub struct Encoded {
    len: usize,
    form: Form,
    bytes: Vec<u8>,
}

enum Form {
    Raw,
    /// Compressed with this dictionary; 0: none.
    Keyframe(u64),
    /// The difference to the version before.
    Difference,
}

impl Encoded {
    /// Encoded length, bytes.
    pub fn encoded_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Codec {
    /// Takes a body as a sample of its kind.
    pub fn sample(&mut self, kind: u64, body: &[u8]) {
        if !self.dictionaries.contains_key(&kind)
            && let Some(dictionary) = self.samples.entry(kind).or_default().take(body)
        {
            self.dictionaries.insert(kind, dictionary);
        }
    }

    /// Encodes the versions of one object, oldest first.
    pub fn encode(&mut self, kind: u64, versions: &[Vec<u8>]) -> Vec<Encoded> {
        let mut encoded = Vec::with_capacity(versions.len());
        let (mut in_group, mut before) = (0, None::<&Vec<u8>>);
        for body in versions {
            let difference = before
                .filter(|_| in_group < GROUP_VERSIONS_MAX)
                .and_then(|before| short_difference(before, body));
            in_group = if difference.is_some() {
                in_group + 1
            } else {
                1
            };
            let (form, bytes) = match difference {
                Some(bytes) => (Form::Difference, bytes),
                None => self.keyframe(kind, body),
            };
            encoded.push(Encoded {
                len: body.len(),
                form,
                bytes,
            });
            before = Some(body);
        }
        encoded
    }

    fn keyframe(&mut self, kind: u64, body: &[u8]) -> (Form, Vec<u8>) {
        let dictionary = self.dictionaries.get(&kind);
        let number = if dictionary.is_some() { kind + 1 } else { 0 };
        let load = || dictionary.cloned().ok_or(());
        match self.compressor.compress(body, number, load) {
            Ok(Some(bytes)) => (Form::Keyframe(number), bytes),
            _ => (Form::Raw, body.to_vec()),
        }
    }

    /// Decodes what [`Codec::encode`] made and hands each body to `each`. `None`: it cannot be decoded.
    pub fn decode(
        &self,
        kind: u64,
        encoded: &[Encoded],
        mut each: impl FnMut(&[u8]),
    ) -> Option<()> {
        let (mut body, mut before) = (Vec::new(), Vec::new());
        for version in encoded {
            match version.form {
                Form::Raw => version.bytes.clone_into(&mut body),
                Form::Keyframe(number) => {
                    let load = || self.dictionaries.get(&kind).cloned().ok_or(());
                    body = self
                        .decompressor
                        .decompress(&version.bytes, version.len, number, load)
                        .ok()?
                        .ok()?;
                }
                Form::Difference => {
                    body.clear();
                    body.reserve(version.len);
                    delta::decode(&before, &version.bytes, version.len, &mut body)?;
                }
            }
            each(&body);
            std::mem::swap(&mut body, &mut before);
        }
        Some(())
    }
}
