//! MessagePack tokens from an input that is not trusted, with the offset of each.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use rmp::Marker;

use super::error::{Fault, Problem};
use crate::limits::{
    NESTING_DEPTH_MAX, OBJECT_BYTES_MAX, TRACE_NAME_BYTES_MAX, TRACE_READ_BUFFER_BYTES,
};

/// The head of a value. Texts, bytes and extensions are followed by that many bytes, arrays and maps by their elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    Float(f64),
    Str(u32),
    Bin(u32),
    Ext(u32),
    Array(u32),
    Map(u32),
    /// The one byte (0xc1) that MessagePack never uses.
    Reserved,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "the integer {value}"),
            Self::Negative(value) => write!(f, "the integer {value}"),
            Self::Float(value) => write!(f, "the number {value:?}"),
            Self::Str(len) => write!(f, "a text of {len} bytes"),
            Self::Bin(len) => write!(f, "binary data of {len} bytes"),
            Self::Ext(len) => write!(f, "an extension of {len} bytes"),
            Self::Array(len) => write!(f, "an array of {len}"),
            Self::Map(len) => write!(f, "a map of {len}"),
            Self::Reserved => f.write_str("the byte 0xc1, which MessagePack does not use"),
        }
    }
}

/// A value and the offset of its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) offset: u64,
    pub(super) value: T,
}

/// Reads tokens and counts bytes. Reads ahead of what it has handed out, never back.
pub(super) struct Reader<R> {
    input: BufReader<R>,
    /// Bytes handed out so far.
    offset: u64,
    /// The offset at which the object that is being read gets too large; `u64::MAX` outside of objects.
    limit: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(TRACE_READ_BUFFER_BYTES, input),
            offset: 0,
            limit: u64::MAX,
        }
    }

    /// From here on an object of [`OBJECT_BYTES_MAX`] bytes is read.
    pub(super) fn begin_object(&mut self) {
        self.limit = self.offset.saturating_add(OBJECT_BYTES_MAX as u64);
    }

    /// The object is over.
    pub(super) fn end_object(&mut self) {
        self.limit = u64::MAX;
    }

    /// Fails where so many more bytes cannot belong to the object that is being read.
    pub(super) fn admit(&self, bytes: u64) -> Result<(), Fault> {
        if bytes > self.limit - self.offset {
            let start = self.limit - OBJECT_BYTES_MAX as u64;
            return Err(Fault::at(start, Problem::ObjectTooLarge));
        }
        Ok(())
    }

    /// The head of the next value. `expected` names it for errors.
    #[inline]
    pub(super) fn next(&mut self, expected: &'static str) -> Result<At<Token>, Fault> {
        let offset = self.offset;
        let [first] = self.bytes(offset, expected)?;
        let value = match Marker::from_u8(first) {
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::FixNeg(value) => Token::Negative(value.into()),
            Marker::FixMap(len) => Token::Map(len.into()),
            Marker::FixArray(len) => Token::Array(len.into()),
            Marker::FixStr(len) => Token::Str(len.into()),
            Marker::Null => Token::Nil,
            Marker::Reserved => Token::Reserved,
            Marker::False => Token::Bool(false),
            Marker::True => Token::Bool(true),
            Marker::Bin8 => Token::Bin(self.u8(offset, expected)?.into()),
            Marker::Bin16 => Token::Bin(self.u16(offset, expected)?.into()),
            Marker::Bin32 => Token::Bin(self.u32(offset, expected)?),
            Marker::Ext8 => Token::Ext(self.u8(offset, expected)?.into()),
            Marker::Ext16 => Token::Ext(self.u16(offset, expected)?.into()),
            Marker::Ext32 => Token::Ext(self.u32(offset, expected)?),
            Marker::FixExt1 => Token::Ext(1),
            Marker::FixExt2 => Token::Ext(2),
            Marker::FixExt4 => Token::Ext(4),
            Marker::FixExt8 => Token::Ext(8),
            Marker::FixExt16 => Token::Ext(16),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.bytes(offset, expected)?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.bytes(offset, expected)?)),
            Marker::U8 => Token::Unsigned(self.u8(offset, expected)?.into()),
            Marker::U16 => Token::Unsigned(self.u16(offset, expected)?.into()),
            Marker::U32 => Token::Unsigned(self.u32(offset, expected)?.into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.bytes(offset, expected)?)),
            Marker::I8 => signed(i8::from_be_bytes(self.bytes(offset, expected)?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.bytes(offset, expected)?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.bytes(offset, expected)?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.bytes(offset, expected)?)),
            Marker::Str8 => Token::Str(self.u8(offset, expected)?.into()),
            Marker::Str16 => Token::Str(self.u16(offset, expected)?.into()),
            Marker::Str32 => Token::Str(self.u32(offset, expected)?),
            Marker::Array16 => Token::Array(self.u16(offset, expected)?.into()),
            Marker::Array32 => Token::Array(self.u32(offset, expected)?),
            Marker::Map16 => Token::Map(self.u16(offset, expected)?.into()),
            Marker::Map32 => Token::Map(self.u32(offset, expected)?),
        };
        Ok(At { offset, value })
    }

    /// The length of a map.
    pub(super) fn map(&mut self, expected: &'static str) -> Result<At<u32>, Fault> {
        let At { offset, value } = self.next(expected)?;
        match value {
            Token::Map(value) => Ok(At { offset, value }),
            found => Err(unexpected(offset, expected, found)),
        }
    }

    /// The number of fields of a struct, which SimKube writes as a map with field names.
    pub(super) fn fields(&mut self, expected: &'static str) -> Result<At<u32>, Fault> {
        let At { offset, value } = self.next(expected)?;
        match value {
            Token::Map(value) => Ok(At { offset, value }),
            Token::Array(len) => Err(Fault::at(offset, Problem::Positional { expected, len })),
            found => Err(unexpected(offset, expected, found)),
        }
    }

    /// The length of an array.
    pub(super) fn array(&mut self, expected: &'static str) -> Result<At<u32>, Fault> {
        let At { offset, value } = self.next(expected)?;
        match value {
            Token::Array(value) => Ok(At { offset, value }),
            found => Err(unexpected(offset, expected, found)),
        }
    }

    /// An integer from 0 on.
    pub(super) fn unsigned(&mut self, expected: &'static str) -> Result<At<u64>, Fault> {
        let At { offset, value } = self.next(expected)?;
        match value {
            Token::Unsigned(value) => Ok(At { offset, value }),
            found => Err(unexpected(offset, expected, found)),
        }
    }

    /// An integer of 64 bits with sign.
    pub(super) fn integer(&mut self, expected: &'static str) -> Result<At<i64>, Fault> {
        let At {
            offset,
            value: found,
        } = self.next(expected)?;
        let value = match found {
            Token::Unsigned(value) => i64::try_from(value).ok(),
            Token::Negative(value) => Some(value),
            _ => None,
        };
        value
            .map(|value| At { offset, value })
            .ok_or_else(|| unexpected(offset, expected, found))
    }

    /// A text of 1 to [`TRACE_NAME_BYTES_MAX`] bytes.
    pub(super) fn name(&mut self, expected: &'static str) -> Result<At<String>, Fault> {
        let At { offset, value } = self.next(expected)?;
        let Token::Str(bytes) = value else {
            return Err(unexpected(offset, expected, value));
        };
        if bytes == 0 || bytes as usize > TRACE_NAME_BYTES_MAX {
            return Err(Fault::at(offset, Problem::NameLength { expected, bytes }));
        }
        let value = self.text(offset, bytes, expected)?;
        Ok(At { offset, value })
    }

    /// The bytes of a text whose head was at `offset`. Memory follows what is really there, not `len`.
    pub(super) fn text(
        &mut self,
        offset: u64,
        len: u32,
        expected: &'static str,
    ) -> Result<String, Fault> {
        self.admit(len.into())?;
        let start = self.offset;
        let invalid = |valid_up_to: usize| {
            Fault::at(
                start.saturating_add(valid_up_to as u64),
                Problem::InvalidUtf8,
            )
        };
        let size = len as usize;
        if let Some(bytes) = self.input.buffer().get(..size) {
            let text = str::from_utf8(bytes).map_err(|error| invalid(error.valid_up_to()))?;
            let text = text.to_owned();
            self.consume(size);
            return Ok(text);
        }
        let mut bytes = Vec::new();
        self.chunks(offset, len.into(), expected, |chunk| {
            bytes.extend_from_slice(chunk);
        })?;
        String::from_utf8(bytes).map_err(|error| invalid(error.utf8_error().valid_up_to()))
    }

    /// Reads a value of any type and forgets it. `depth` is how many maps and arrays it lies in, itself included.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        const EXPECTED: &str = "the value of an unknown field";
        let At { offset, value } = self.next(EXPECTED)?;
        let values = match value {
            Token::Nil
            | Token::Bool(_)
            | Token::Unsigned(_)
            | Token::Negative(_)
            | Token::Float(_) => return Ok(()),
            Token::Str(len) | Token::Bin(len) => {
                return self.chunks(offset, len.into(), EXPECTED, |_| {});
            }
            // One more byte: the extension's type.
            Token::Ext(len) => {
                return self.chunks(offset, u64::from(len) + 1, EXPECTED, |_| {});
            }
            Token::Array(len) => u64::from(len),
            Token::Map(len) => 2 * u64::from(len),
            Token::Reserved => return Err(unexpected(offset, EXPECTED, value)),
        };
        if depth > NESTING_DEPTH_MAX {
            return Err(Fault::at(offset, Problem::TooDeep));
        }
        for _ in 0..values {
            self.skip(depth + 1)?;
        }
        Ok(())
    }

    /// Fails unless the input is over.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        if self.fill()?.is_empty() {
            Ok(())
        } else {
            Err(Fault::at(self.offset, Problem::TrailingBytes))
        }
    }

    fn u8(&mut self, offset: u64, expected: &'static str) -> Result<u8, Fault> {
        self.bytes(offset, expected).map(u8::from_be_bytes)
    }

    fn u16(&mut self, offset: u64, expected: &'static str) -> Result<u16, Fault> {
        self.bytes(offset, expected).map(u16::from_be_bytes)
    }

    fn u32(&mut self, offset: u64, expected: &'static str) -> Result<u32, Fault> {
        self.bytes(offset, expected).map(u32::from_be_bytes)
    }

    /// The next bytes of a value that begins at `offset`.
    #[inline]
    fn bytes<const N: usize>(
        &mut self,
        offset: u64,
        expected: &'static str,
    ) -> Result<[u8; N], Fault> {
        self.admit(N as u64)?;
        let mut bytes = [0; N];
        match self.input.read_exact(&mut bytes) {
            Ok(()) => {
                self.offset = self.offset.saturating_add(N as u64);
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Fault::at(offset, Problem::Truncated { expected }))
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Hands out `len` bytes of a value that begins at `offset`, in pieces.
    fn chunks(
        &mut self,
        offset: u64,
        len: u64,
        expected: &'static str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Fault> {
        self.admit(len)?;
        let mut left = len;
        while left > 0 {
            let available = self.fill()?;
            let want = usize::try_from(left).unwrap_or(usize::MAX);
            let chunk = available.get(..want).unwrap_or(available);
            if chunk.is_empty() {
                return Err(Fault::at(offset, Problem::Truncated { expected }));
            }
            each(chunk);
            let taken = chunk.len();
            self.consume(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    /// What the buffer holds, read anew when it was empty; nothing at the end of the input.
    fn fill(&mut self) -> Result<&[u8], Fault> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed(source)),
            }
        }
        Ok(self.input.buffer())
    }

    fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset = self.offset.saturating_add(bytes as u64);
    }

    #[cold]
    fn failed(&self, source: io::Error) -> Fault {
        Fault::Read {
            offset: self.offset,
            source,
        }
    }
}

/// An integer that was written with a sign, which it need not have.
fn signed(value: i64) -> Token {
    u64::try_from(value).map_or(Token::Negative(value), Token::Unsigned)
}

#[cold]
pub(super) fn unexpected(offset: u64, expected: &'static str, found: Token) -> Fault {
    Fault::at(
        offset,
        Problem::Unexpected {
            expected,
            found: found.to_string(),
        },
    )
}
