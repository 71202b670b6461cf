//! Reading a key piece by piece.

use super::hex;
use crate::model::{ObjectKey, Timestamp};
use crate::store::StoreError;

/// Reads keys piece by piece; every failure names the table and the key.
pub(crate) struct KeyReader<'a> {
    table: &'static str,
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    pub(crate) fn new(table: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            table,
            whole: bytes,
            rest: bytes,
        }
    }

    pub(super) fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged {
            table: self.table,
            key: hex(self.whole),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, StoreError> {
        let (number, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or_else(|| self.damaged("the key is too short"))?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*number))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        Ok(super::time_from(self.number()?.to_be_bytes()))
    }

    pub(super) fn short_number(&mut self) -> Result<u32, StoreError> {
        let (number, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or_else(|| self.damaged("the key is too short"))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*number))
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        let mut text = Vec::new();
        loop {
            match *self.rest {
                [0, 0, ref rest @ ..] => {
                    self.rest = rest;
                    return String::from_utf8(text)
                        .map_err(|_| self.damaged("the key holds text that is not UTF-8"));
                }
                [0, 0xff, ref rest @ ..] => {
                    text.push(0);
                    self.rest = rest;
                }
                [byte, ref rest @ ..] if byte != 0 => {
                    text.push(byte);
                    self.rest = rest;
                }
                _ => return Err(self.damaged("the key's text has no end")),
            }
        }
    }

    /// Bytes not read yet.
    pub(crate) fn rest_len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn object_key(&mut self) -> Result<ObjectKey, StoreError> {
        Ok(ObjectKey {
            group: self.text()?,
            kind: self.text()?,
            namespace: self.text()?,
            name: self.text()?,
        })
    }

    pub(crate) fn end(self) -> Result<(), StoreError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.damaged("the key is too long"))
        }
    }
}
