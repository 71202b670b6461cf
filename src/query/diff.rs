//! What differs between two versions of an object.

use serde_json::Value;

/// One difference, at a JSON pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// Where.
    pub path: String,
    /// What stood there before; `None` where nothing did.
    pub before: Option<Value>,
    /// What stands there after; `None` where nothing does.
    pub after: Option<Value>,
}

/// The differences between two values, in the order of the paths: the deepest paths at which they differ. Lists of
/// different lengths differ where they have no counterpart.
pub fn diff(before: &Value, after: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(
        &mut String::new(),
        Some(before),
        Some(after),
        &mut differences,
    );
    differences
}

fn compare(
    path: &mut String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                inside(path, &escaped, a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                inside(path, &index.to_string(), a.get(index), b.get(index), found);
            }
        }
        (before, after) if before == after => {}
        (before, after) => found.push(Difference {
            path: path.clone(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn inside(
    path: &mut String,
    step: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    compare(path, before, after, found);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named_where_they_are() {
        let before = json!({"a": {"x": 1, "y/z": [1, 2]}, "gone": true});
        let after = json!({"a": {"x": 2, "y/z": [1, 2, 3]}, "new": null});
        let paths: Vec<_> = diff(&before, &after)
            .into_iter()
            .map(|d| (d.path, d.before, d.after))
            .collect();
        assert_eq!(
            paths,
            [
                ("/a/x".to_owned(), Some(json!(1)), Some(json!(2))),
                ("/a/y~1z/2".to_owned(), None, Some(json!(3))),
                ("/gone".to_owned(), Some(json!(true)), None),
                ("/new".to_owned(), None, Some(json!(null))),
            ]
        );
        assert_eq!(diff(&before, &before), []);
    }
}
