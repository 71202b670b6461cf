//! Pages of a list.

use bytes::BytesMut;
use serde::Deserialize;
#[cfg(doc)]
use serde_json::value::RawValue;

use super::server::RequestError;
use crate::normalize::Scanner;

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
        if !can_go_on(&version) {
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

/// Whether a watch can go on from this version of a list: "0" would mean any version.
fn can_go_on(version: &str) -> bool {
    !version.is_empty() && version != "0"
}

impl<I> Page<I> {
    /// Reads a page that is written as usual; `item` reads an item. `None`: [`Page::read`] has to read it.
    pub(super) fn scan<'a>(
        bytes: &'a BytesMut,
        mut item: impl FnMut(&mut Scanner<'a>) -> Option<I>,
    ) -> Option<Self> {
        let mut scanner = Scanner::new(bytes);
        let (mut metadata, mut items) = (None, None);
        scanner.object(|scanner, key| match key {
            "metadata" if metadata.is_none() => {
                let (mut version, mut token) = (None, None);
                scanner.object(|scanner, key| {
                    let place = match key {
                        "resourceVersion" => &mut version,
                        "continue" => &mut token,
                        _ => return scanner.skip(),
                    };
                    place.replace(scanner.string()?).is_none().then_some(())
                })?;
                metadata = Some((version?, token));
                Some(())
            }
            "items" if items.is_none() => {
                let mut all = Vec::new();
                scanner.array(|scanner| {
                    all.push(item(scanner)?);
                    Some(())
                })?;
                items = Some(all);
                Some(())
            }
            "metadata" | "items" => None,
            _ => scanner.skip(),
        })?;
        scanner.end()?;
        let (version, token) = metadata?;
        can_go_on(version).then_some(())?;
        Some(Self {
            items: items?,
            token: token.filter(|token| !token.is_empty()).map(str::to_owned),
            version: version.to_owned(),
        })
    }

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
    fn a_page_is_read_the_same_in_both_ways() {
        for text in [
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x","remainingItemCount":3},"items":[{"a" : 1},2,[]]}"#,
            r#" {"items":[] , "metadata":{"continue":"","resourceVersion":"7"}} "#,
        ] {
            let page = bytes(text);
            let read = Page::<&RawValue>::read(&page).unwrap();
            let scanned = Page::scan(&page, Scanner::raw).unwrap();
            let items: Vec<_> = read.items.iter().map(|item| item.get()).collect();
            assert_eq!(scanned.items, items);
            assert_eq!((scanned.token, scanned.version), (read.token, read.version));
        }
        // What only the other way reads, and what neither does.
        for text in [
            r#"{"metadata":{"resourceVersion":"7"},"items":null}"#,
            r#"{"metadata":{"resourceVersion":"\u0037"},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7"},"metadata":{"resourceVersion":"7"},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7","resourceVersion":"8"},"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7"},"items":[],"items":[]}"#,
            r#"{"metadata":{"resourceVersion":"7"},"items":[]}}"#,
        ] {
            assert!(Page::scan(&bytes(text), Scanner::raw).is_none(), "{text}");
        }
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
            assert!(Page::scan(&bytes(text), Scanner::raw).is_none(), "{text}");
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
