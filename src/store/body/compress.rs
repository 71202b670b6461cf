//! zstd, with dictionaries that are trained once for each kind and never change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use zstd_safe::{CCtx, CParameter, DCtx, DDict};

use crate::limits::{
    BODY_COMPRESSORS_MAX, DICTIONARY_BYTES, DICTIONARY_SAMPLE_BYTES_MAX, DICTIONARY_SAMPLES,
};

/// zstd's own default: stronger levels gain little on bodies of a few KB.
const LEVEL: i32 = 3;

/// Compresses bodies; owned by the writer.
#[derive(Default)]
pub(crate) struct Compressor {
    /// By dictionary; 0: without.
    contexts: HashMap<u64, CCtx<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("dictionaries", &self.contexts.keys())
            .finish()
    }
}

impl Compressor {
    /// The compressed body, where that is shorter. `dictionary`: its number, and how to get its bytes.
    pub(crate) fn compress<E>(
        &mut self,
        body: &[u8],
        dictionary: u64,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Option<Vec<u8>>, E> {
        if !self.contexts.contains_key(&dictionary) {
            if self.contexts.len() >= BODY_COMPRESSORS_MAX {
                self.contexts.clear();
            }
            let bytes = if dictionary == 0 { Vec::new() } else { load()? };
            let Some(context) = context(&bytes) else {
                return Ok(None);
            };
            self.contexts.insert(dictionary, context);
        }
        let Some(context) = self.contexts.get_mut(&dictionary) else {
            return Ok(None);
        };
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
        Ok(match context.compress2(&mut out, body) {
            Ok(_) if out.len() < body.len() => Some(out),
            // Not compressible, or zstd is out of memory: the body itself will do.
            _ => None,
        })
    }
}

fn context(dictionary: &[u8]) -> Option<CCtx<'static>> {
    let mut context = CCtx::try_create()?;
    for parameter in [
        CParameter::CompressionLevel(LEVEL),
        // Length and dictionary are stored beside the bytes.
        CParameter::ContentSizeFlag(false),
        CParameter::DictIdFlag(false),
        CParameter::ChecksumFlag(false),
    ] {
        context.set_parameter(parameter).ok()?;
    }
    context.load_dictionary(dictionary).ok()?;
    Some(context)
}

/// Decompresses bodies; shared by the snapshots of a store.
pub(crate) struct Decompressor {
    context: Mutex<Option<DCtx<'static>>>,
    dictionaries: Mutex<HashMap<u64, Arc<DDict<'static>>>>,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self {
            context: Mutex::new(DCtx::try_create()),
            dictionaries: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

impl Decompressor {
    /// The body of `len` bytes, in place of what `out` held. `Ok(Err(reason))`: the bytes are not what
    /// [`Compressor::compress`] made.
    pub(crate) fn decompress_into<E>(
        &self,
        bytes: &[u8],
        len: usize,
        dictionary: u64,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
        out: &mut Vec<u8>,
    ) -> Result<Result<(), &'static str>, E> {
        let mut dictionaries = self
            .dictionaries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = dictionaries.get(&dictionary).map(Arc::clone);
        let dictionary = match known {
            Some(known) => known,
            None => {
                let bytes = if dictionary == 0 { Vec::new() } else { load()? };
                let Some(loaded) = DDict::try_create(&bytes) else {
                    return Ok(Err("zstd cannot load the dictionary"));
                };
                if dictionaries.len() >= BODY_COMPRESSORS_MAX {
                    dictionaries.clear();
                }
                let loaded = Arc::new(loaded);
                dictionaries.insert(dictionary, Arc::clone(&loaded));
                loaded
            }
        };
        drop(dictionaries);
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(context) = context.as_mut() else {
            return Ok(Err("zstd is out of memory"));
        };
        out.clear();
        out.reserve_exact(len);
        Ok(
            match context.decompress_using_ddict(out, bytes, &dictionary) {
                Ok(_) if out.len() == len => Ok(()),
                Ok(_) => Err("the compressed body has another length"),
                Err(code) => Err(zstd_safe::get_error_name(code)),
            },
        )
    }

    /// The same as memory of its own.
    #[cfg(any(test, feature = "bench", feature = "fuzzing"))]
    pub(crate) fn decompress<E>(
        &self,
        bytes: &[u8],
        len: usize,
        dictionary: u64,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Result<Vec<u8>, &'static str>, E> {
        let mut out = Vec::new();
        let done = self.decompress_into(bytes, len, dictionary, load, &mut out)?;
        Ok(done.map(|()| out))
    }
}

/// Bodies of one kind, until there are enough of them to train a dictionary.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

impl Samples {
    /// Takes a body. Some: the dictionary of all bodies taken; the samples are empty again.
    pub(crate) fn take(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let sample = body.get(..DICTIONARY_SAMPLE_BYTES_MAX).unwrap_or(body);
        self.bytes.extend_from_slice(sample);
        self.sizes.push(sample.len());
        if self.sizes.len() < DICTIONARY_SAMPLES {
            return None;
        }
        let Self { bytes, sizes } = std::mem::take(self);
        let mut dictionary = Vec::with_capacity(DICTIONARY_BYTES);
        // Samples that have nothing in common make no dictionary: others will be tried.
        zstd_safe::train_from_buffer(&mut dictionary, &bytes, &sizes).ok()?;
        (!dictionary.is_empty()).then_some(dictionary)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn body(n: usize) -> Vec<u8> {
        format!(
            "apiVersion apps/v1 kind Deployment name web-{n} replicas {} image registry/app:{} {}",
            n % 7,
            n * 7919,
            "environment and resources ".repeat(20)
        )
        .into_bytes()
    }

    fn none() -> Result<Vec<u8>, ()> {
        Err(())
    }

    #[test]
    fn a_dictionary_makes_bodies_of_its_kind_smaller() {
        let mut samples = Samples::default();
        let dictionary = (0..).find_map(|n| samples.take(&body(n))).unwrap();
        let (mut compressor, decompressor) = (Compressor::default(), Decompressor::default());
        let new = body(1_000_003);
        let plain = compressor.compress(&new, 0, none).unwrap().unwrap();
        let small = compressor
            .compress(&new, 5, || Ok::<_, ()>(dictionary.clone()))
            .unwrap()
            .unwrap();
        assert!(
            small.len() * 2 < plain.len(),
            "{} {}",
            small.len(),
            plain.len()
        );
        for _ in 0..2 {
            let load = || Ok::<_, ()>(dictionary.clone());
            assert_eq!(
                decompressor
                    .decompress(&small, new.len(), 5, load)
                    .unwrap()
                    .unwrap(),
                new
            );
            assert_eq!(
                decompressor
                    .decompress(&plain, new.len(), 0, none)
                    .unwrap()
                    .unwrap(),
                new
            );
        }
        assert!(
            decompressor
                .decompress(&small, new.len(), 0, none)
                .unwrap()
                .is_err()
        );
        assert!(
            decompressor
                .decompress(&plain, new.len() - 1, 0, none)
                .unwrap()
                .is_err()
        );
        assert!(
            decompressor
                .decompress(&plain, new.len() + 1, 0, none)
                .unwrap()
                .is_err()
        );
        assert!(decompressor.decompress(&plain, new.len(), 6, none).is_err());
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        let mut noise = [0; 200];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(Compressor::default().compress(&noise, 0, none), Ok(None));
    }
}
