//! Numbers in as few bytes as they need: seven bits a byte, least significant first, the eighth says that more follow.

/// Appends a number.
pub(crate) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front of `bytes`. `None`: they end too early, or the number has more than 64 bits.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends a signed number: 0, -1, 1, -2 ... as 0, 1, 2, 3 ...
pub(crate) fn write_signed(out: &mut Vec<u8>, number: i64) {
    write_varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Takes a signed number from the front of `bytes`.
pub(crate) fn read_signed(bytes: &mut &[u8]) -> Option<i64> {
    let number = read_varint(bytes)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..20), signed in any::<i64>(), small in any::<u8>()) {
            let mut bytes = Vec::new();
            for number in &numbers {
                write_varint(&mut bytes, *number);
                write_varint(&mut bytes, u64::from(small));
            }
            write_signed(&mut bytes, signed);
            let mut rest = bytes.as_slice();
            for number in &numbers {
                prop_assert_eq!(read_varint(&mut rest), Some(*number));
                prop_assert_eq!(read_varint(&mut rest), Some(u64::from(small)));
            }
            prop_assert_eq!(read_signed(&mut rest), Some(signed));
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_number_that_does_not_end_or_does_not_fit_is_none() {
        assert_eq!(read_varint(&mut [0x80, 0x80].as_slice()), None);
        assert_eq!(read_varint(&mut [0xff; 10].as_slice()), None);
        assert_eq!(
            read_varint(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1].as_slice()),
            Some(u64::MAX)
        );
    }
}
