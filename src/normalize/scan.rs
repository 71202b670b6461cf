//! JSON read in one pass, as far as it has the form that API servers write.
//!
//! For the pods of a list: hundreds of megabytes, of which little is needed. A reader of values here steps from one value
//! to the next and passes over what is not asked for, after it has checked it. What it accepts, serde_json accepts, and
//! reads the same from it; the other way around it is narrower: strings that are asked for have no escapes, and nesting ends
//! at [`DEPTH_MAX`]. `None` always means: read it with serde_json, which knows what is wrong, if anything is.

/// How deeply values that are passed over may be nested.
const DEPTH_MAX: usize = 127;

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a text.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// That nothing follows.
    pub(crate) fn end(&mut self) -> Option<()> {
        match self.peek() {
            None => Some(()),
            Some(_) => None,
        }
    }

    /// An object: `each` is called behind every key, and reads its value.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            each(self, key)?;
            if self.is_last(b'}')? {
                return Some(());
            }
        }
    }

    /// An array: `each` reads an item.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            each(self)?;
            if self.is_last(b']')? {
                return Some(());
            }
        }
    }

    /// A string without escapes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        if self.skip_string()? {
            return None;
        }
        let text = self.text.get(start..self.at.checked_sub(1)?)?;
        std::str::from_utf8(text).ok()
    }

    /// The same, or null.
    pub(crate) fn optional_string(&mut self) -> Option<Option<&'a str>> {
        if self.is_null()? {
            return Some(None);
        }
        self.string().map(Some)
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.literal(b"true").map(|()| true),
            _ => self.literal(b"false").map(|()| false),
        }
    }

    /// Passes over null, if that is what comes.
    pub(crate) fn is_null(&mut self) -> Option<bool> {
        match self.peek()? {
            b'n' => self.literal(b"null").map(|()| true),
            _ => Some(false),
        }
    }

    /// Whether an object comes; it stays.
    pub(crate) fn is_object(&mut self) -> Option<bool> {
        Some(self.peek()? == b'{')
    }

    /// Whether a string comes; it stays.
    pub(crate) fn is_string(&mut self) -> Option<bool> {
        Some(self.peek()? == b'"')
    }

    /// Any value, as it is written.
    pub(crate) fn raw(&mut self) -> Option<&'a str> {
        let (text, ()) = self.written(Self::skip)?;
        std::str::from_utf8(text).ok()
    }

    /// What `read` reads, and how it is written.
    pub(crate) fn written<R>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<R>,
    ) -> Option<(&'a [u8], R)> {
        self.peek()?;
        let start = self.at;
        let value = read(self)?;
        Some((self.text.get(start..self.at)?, value))
    }

    /// Passes over any value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_value(DEPTH_MAX)
    }

    fn skip_value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.skip_string()?;
                Some(())
            }
            b'{' => {
                self.at += 1;
                let below = depth.checked_sub(1)?;
                if self.peek()? == b'}' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.take(b'"')?;
                    self.skip_string()?;
                    self.take(b':')?;
                    self.skip_value(below)?;
                    if self.is_last(b'}')? {
                        return Some(());
                    }
                }
            }
            b'[' => {
                self.at += 1;
                let below = depth.checked_sub(1)?;
                if self.peek()? == b']' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.skip_value(below)?;
                    if self.is_last(b']')? {
                        return Some(());
                    }
                }
            }
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.skip_number(),
        }
    }

    /// Behind an item: whether `close` follows, and not a comma.
    #[inline]
    fn is_last(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b',' {
            Some(false)
        } else if byte == close {
            Some(true)
        } else {
            None
        }
    }

    /// The next byte that is no white space; it stays.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? == byte {
            self.at += 1;
            Some(())
        } else {
            None
        }
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        if self.text.get(self.at..end)? == word {
            self.at = end;
            Some(())
        } else {
            None
        }
    }

    /// Passes over the rest of a string and its closing quote. Returns whether it holds escapes.
    #[inline]
    fn skip_string(&mut self) -> Option<bool> {
        let mut has_escapes = false;
        loop {
            self.at += plain_bytes(self.text.get(self.at..)?);
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(has_escapes),
                b'\\' => {
                    has_escapes = true;
                    let escaped = *self.text.get(self.at)?;
                    self.at += 1;
                    match escaped {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.text.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    fn skip_number(&mut self) -> Option<()> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let start = self.at;
        self.skip_digits()?;
        if self.at > start + 1 && self.text.get(start) == Some(&b'0') {
            return None;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Some(())
    }

    /// One digit at least.
    fn skip_digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// How many bytes come before a quote, a backslash or a control character; all of them where there is none.
#[inline]
fn plain_bytes(text: &[u8]) -> usize {
    const WORD: usize = 8;
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    // Eight bytes at a time. The lowest marked byte is right; those above it may be marked by a borrow.
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<WORD>) {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let marked = (control | quote | backslash) & HIGH;
        if marked != 0 {
            return at + marked.trailing_zeros() as usize / 8;
        }
        at += WORD;
    }
    let rest = text.get(at..).unwrap_or_default();
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest
        .iter()
        .position(|byte| !plain(byte))
        .unwrap_or(rest.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
