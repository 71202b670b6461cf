//! Pages of a list.

use bytes::BytesMut;
use serde::Deserialize;
#[cfg(doc)]
use serde_json::value::RawValue;

use super::server::RequestError;

/// One page of a list. Its items are the bytes that came, [`RawValue`]s, so that one malformed item costs no other (R7); or
/// what was read of them on the way, where all could be read.
pub(super) struct Page<I> {
    /// The items.
    pub(super) items: Vec<I>,
    /// Where the next page begins; `None` on the last.
    pub(super) token: Option<String>,
    /// The version of the list.
    pub(super) version: String,
}

impl<'a, I: Deserialize<'a>> Page<I> {
    /// Reads a page.
    ///
    /// # Errors
    /// When it is not JSON, not a list of such items, or says no version from which a watch could go on.
    pub(super) fn read(bytes: &'a BytesMut) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        #[serde(bound = "I: Deserialize<'de>")]
        struct List<I> {
            metadata: ListMeta,
            // Not optional, only nullable: what has no items is no list, and would sweep everything.
            #[serde(deserialize_with = "Option::deserialize")]
            items: Option<Vec<I>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ListMeta {
            resource_version: String,
            #[serde(default, rename = "continue")]
            token: Option<String>,
        }
        const EXPECTED: &str = "a list";
        let list: List<I> = serde_json::from_slice(bytes)
            .map_err(|error| RequestError::garbled(EXPECTED, &error))?;
        let version = list.metadata.resource_version;
        // "0" would mean any version, in a watch.
        if version.is_empty() || version == "0" {
            return Err(RequestError::Garbled {
                expected: EXPECTED,
                detail: format!("its resourceVersion is {version:?}"),
            });
        }
        Ok(Self {
            items: list.items.unwrap_or_default(),
            token: list.metadata.token.filter(|token| !token.is_empty()),
            version,
        })
    }
}

impl<I> Page<I> {
    /// The same page with its items as `each` makes them.
    pub(super) fn map<J>(self, each: impl FnMut(I) -> J) -> Page<J> {
        Page {
            items: self.items.into_iter().map(each).collect(),
            token: self.token,
            version: self.version,
        }
    }
}

/// Path and query of a page.
pub(super) fn page_path(collection: &str, limit: u32, token: Option<&str>) -> String {
    match token {
        None => format!("{collection}?limit={limit}"),
        Some(token) => {
            let token: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
            format!("{collection}?limit={limit}&continue={token}")
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against a list that is believed although it is none: everything stored would be swept.

    use serde_json::value::RawValue;

    use super::*;

    fn bytes(text: &str) -> BytesMut {
        BytesMut::from(text)
    }

    #[test]
    fn items_are_passed_on_as_they_came() {
        let page = bytes(
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x"},"items":[{"a" : 1},"no object",[]]}"#,
        );
        let page = Page::<&RawValue>::read(&page).unwrap();
        let items: Vec<_> = page.items.iter().map(|item| item.get()).collect();
        assert_eq!(items, [r#"{"a" : 1}"#, "\"no object\"", "[]"]);
        assert_eq!(
            (page.version.as_str(), page.token.as_deref()),
            ("7", Some("x"))
        );
    }

    #[test]
    fn an_empty_list_may_have_null_items() {
        for text in [
            r#"{"metadata":{"resourceVersion":"7"},"items":null}"#,
            r#"{"metadata":{"resourceVersion":"7","continue":""},"items":[]}"#,
        ] {
            let page = bytes(text);
            let page = Page::<&RawValue>::read(&page).unwrap();
            assert!(page.items.is_empty() && page.token.is_none());
        }
    }

    #[test]
    fn what_is_no_complete_list_is_refused() {
        for text in [
            "",
            "{}",
            "<html>",
            r#"{"metadata":{"resourceVersion":"7"}}"#,
            r#"{"metadata":{},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":""},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"0"},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7"},"items":[{}"#,
            r#"{"metadata":{"resourceVersion":"7"},"items":{}}"#,
        ] {
            assert!(Page::<&RawValue>::read(&bytes(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_are_escaped() {
        assert_eq!(
            page_path("/api/v1/pods", 5, Some("a+/=&b")),
            "/api/v1/pods?limit=5&continue=a%2B%2F%3D%26b"
        );
    }
}
