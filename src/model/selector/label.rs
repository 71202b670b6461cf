//! What the key and the value of a label can look like.

use crate::limits::ERROR_EXCERPT_BYTES_MAX;

/// Longest name part of a key, and longest value, bytes.
const NAME_BYTES_MAX: usize = 63;
/// Longest prefix of a key, bytes.
const PREFIX_BYTES_MAX: usize = 253;

/// A text that cannot be part of a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// Not a key.
    #[error(
        "{key:?} cannot be the key of a label: expected [prefix/]name, the name of 1 to 63 letters, digits, '-', '_' \
         and '.' with a letter or digit at both ends, the prefix a DNS name in lower case"
    )]
    Key {
        /// The key as given, shortened.
        key: String,
    },
    /// Not a value.
    #[error(
        "{value:?} cannot be the value of label {key:?}: expected at most 63 letters, digits, '-', '_' and '.' with a \
         letter or digit at both ends"
    )]
    Value {
        /// Key of the label.
        key: String,
        /// The value as given, shortened.
        value: String,
    },
}

pub(super) fn check_key(key: &str) -> Result<(), InvalidLabel> {
    let valid = match key.split_once('/') {
        Some((prefix, name)) => is_dns_name(prefix) && is_name(name),
        None => is_name(key),
    };
    if valid {
        Ok(())
    } else {
        Err(InvalidLabel::Key { key: excerpt(key) })
    }
}

pub(super) fn check_value(key: &str, value: &str) -> Result<(), InvalidLabel> {
    if value.is_empty() || is_name(value) {
        Ok(())
    } else {
        Err(InvalidLabel::Value {
            key: excerpt(key),
            value: excerpt(value),
        })
    }
}

/// The start of a text that goes into an error message.
pub(super) fn excerpt(text: &str) -> String {
    let mut end = text.len().min(ERROR_EXCERPT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(inner)
        && has_ends(text, |byte| byte.is_ascii_alphanumeric())
}

fn is_dns_name(text: &str) -> bool {
    let outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part =
        |part: &str| part.bytes().all(|byte| outer(byte) || byte == b'-') && has_ends(part, outer);
    text.len() <= PREFIX_BYTES_MAX && text.split('.').all(part)
}

/// Whether a text is not empty and both its ends are of this kind.
fn has_ends(text: &str, kind: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| kind(*byte)) && bytes.last().is_some_and(|byte| kind(*byte))
}

#[cfg(test)]
mod tests {
    //! Guards against selectors that can never match because of a typing error, and so silently filter nothing.
    use super::*;

    #[test]
    fn keys_of_labels() {
        let longest = format!("{}/{}", "a".repeat(253), "b".repeat(63));
        for key in [
            "a",
            "A1",
            "app.kubernetes.io/name",
            "a_b.c-d",
            "1/x",
            longest.as_str(),
        ] {
            assert_eq!(check_key(key), Ok(()), "{key}");
        }
        let name = "b".repeat(64);
        let prefix = format!("{}/b", "a".repeat(254));
        for key in [
            "", "-a", "a-", "a b", "ä", "/a", "a/", "a/b/c", "A/b", "a_b/c", "-a/b", "a..b/c",
            "a-.b/c", &name, &prefix,
        ] {
            assert!(check_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn values_of_labels() {
        let longest = "a".repeat(63);
        for value in ["", "a", "A_b.c-9", "1", longest.as_str()] {
            assert_eq!(check_value("k", value), Ok(()), "{value}");
        }
        let long = "a".repeat(64);
        for value in ["-", ".a", "a_", "a b", "a/b", "é", &long] {
            assert!(check_value("k", value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_error_repeats_no_more_than_an_excerpt() {
        let key = "é".repeat(10_000);
        assert_eq!(excerpt(&key).len(), ERROR_EXCERPT_BYTES_MAX);
        assert_eq!(
            excerpt(&format!("x{key}")).len(),
            ERROR_EXCERPT_BYTES_MAX - 1
        );
        assert_eq!(excerpt("short"), "short");
    }
}
