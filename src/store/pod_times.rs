//! The stored form of a pod's times: most are whole seconds, as kubelets tell them, and follow each other closely.
//!
//! `flags (1 byte) | start | end | end of the containers | since when the end is inferred`, each as bincode writes an
//! i64. Flags 1, 2, 4, 8: that one of them is there; 16, 32, 64, 128: it is in seconds, else in microseconds. The first one that
//! is there counts from the Unix epoch, the others from the one before (64-bit arithmetic that wraps).

use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

use super::rows::PodTimes;
use crate::model::MICROS_PER_SECOND;

impl PodTimes {
    fn parts(&self) -> [Option<i64>; 4] {
        [
            self.start_us,
            self.end_us,
            self.containers_end_us,
            self.end_since_us,
        ]
    }
}

impl Encode for PodTimes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let (mut flags, mut before) = (0u8, 0i64);
        let mut values = [None; 4];
        for (at, (part, value)) in self.parts().into_iter().zip(&mut values).enumerate() {
            let Some(part) = part else { continue };
            let micros = part.wrapping_sub(before);
            let whole = micros % MICROS_PER_SECOND == 0;
            flags |= 1 << at | if whole { 16 << at } else { 0 };
            *value = Some(if whole {
                micros / MICROS_PER_SECOND
            } else {
                micros
            });
            before = part;
        }
        flags.encode(encoder)?;
        values
            .into_iter()
            .flatten()
            .try_for_each(|value| value.encode(encoder))
    }
}

impl<C> Decode<C> for PodTimes {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let flags = u8::decode(decoder)?;
        let mut before = 0i64;
        let mut parts = [None; 4];
        for (at, part) in parts.iter_mut().enumerate() {
            if flags & 1 << at == 0 {
                continue;
            }
            let value = i64::decode(decoder)?;
            let micros = if flags & 16 << at == 0 {
                value
            } else {
                value.wrapping_mul(MICROS_PER_SECOND)
            };
            before = before.wrapping_add(micros);
            *part = Some(before);
        }
        let [start_us, end_us, containers_end_us, end_since_us] = parts;
        Ok(Self {
            start_us,
            containers_end_us,
            end_us,
            end_since_us,
        })
    }
}

bincode::impl_borrow_decode!(PodTimes);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time() -> impl Strategy<Value = Option<i64>> {
        proptest::option::of(prop_oneof![
            any::<i64>(),
            (0i64..4_000_000_000).prop_map(|seconds| seconds * MICROS_PER_SECOND),
            Just(i64::MIN),
            Just(i64::MAX),
        ])
    }

    proptest! {
        #[test]
        fn times_come_back(start_us in time(), end_us in time(), containers_end_us in time(), end_since_us in time()) {
            let times = PodTimes { start_us, containers_end_us, end_us, end_since_us };
            let bytes = bincode::encode_to_vec(times, bincode::config::standard()).unwrap();
            let (read, len) = bincode::decode_from_slice::<PodTimes, _>(&bytes, bincode::config::standard()).unwrap();
            prop_assert_eq!((read, len), (times, bytes.len()));
        }
    }
}
