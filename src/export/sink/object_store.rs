//! An object in S3, Google Cloud Storage or Azure that appears whole or not at all (X9), written with bounded memory.
//!
//! What is smaller than one part goes up in one request; anything larger as a multipart upload, which the provider
//! makes visible when it is completed and forgets when it is aborted.

mod upload;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::object_store::aws::AmazonS3Builder;
use ::object_store::azure::MicrosoftAzureBuilder;
use ::object_store::gcp::GoogleCloudStorageBuilder;
use ::object_store::path::Path;
use ::object_store::{BackoffConfig, Error, ObjectStore, ObjectStoreScheme, RetryConfig};
use bytes::Bytes;
use futures::Stream;
use url::Url;

use self::upload::Upload;
use crate::limits::{STORAGE_RETRIES_MAX, STORAGE_RETRY_SECONDS_MAX};

/// A place in an object store, named by a URL as SimKube names it: `s3://bucket/path`, `gs://bucket/path`,
/// `az://container/path` (also `s3a`, `azure`, `adl`, `abfs`, `abfss`, and the providers' own `https` addresses).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageLocation {
    url: Url,
    provider: ObjectStoreScheme,
    /// Path inside the bucket or container.
    path: Path,
    /// Path of the URL: with the bucket, where the URL has that in its path.
    url_path: Path,
}

/// A URL that is meant for an object store and names no place in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no place in an object store: {reason}")]
pub struct InvalidLocation {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How providers are reached. Credentials, endpoints and regions come from the process's environment under the names
/// that the object_store crate documents (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_KEY`
/// ...); `overrides` come on top, under the same names (`aws_endpoint`). A name that a provider does not know is
/// ignored for that provider.
#[derive(Clone, Default)]
pub struct StorageOptions {
    /// Name and value; they win over the environment.
    pub overrides: Vec<(String, String)>,
}

impl fmt::Debug for StorageOptions {
    /// Without the values: they can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.overrides.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// Why an object was not written. Nothing is left of it in the store, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The provider cannot be used as it is configured: credentials, region, endpoint.
    #[error("cannot use {location}: {cause}")]
    Settings {
        /// Where the object was to go.
        location: String,
        /// What the client of the provider says.
        cause: Box<Error>,
    },
    /// There is no such bucket or container.
    #[error("could not find external storage location {location}: {cause}")]
    NotFound {
        /// Where the object was to go.
        location: String,
        /// What the provider says.
        cause: Box<Error>,
    },
    /// The provider failed or refused.
    #[error("could not write to {location}: {cause}")]
    Provider {
        /// Where the object was to go.
        location: String,
        /// What the provider says.
        cause: Box<Error>,
    },
    /// What was to be written could not be produced.
    #[error("the content failed before it was whole: {0}")]
    Content(io::Error),
    /// The upload was called off.
    #[error("the upload was called off")]
    Cancelled,
}

impl StorageLocation {
    /// The place that a text names; `None` where it is a path, or a URL of something else.
    ///
    /// # Errors
    /// A URL with the scheme of an object store that names no bucket, or says more than a place (port, password, query).
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidLocation> {
        let invalid = |reason: String| InvalidLocation {
            text: text.to_owned(),
            reason,
        };
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                let scheme = text.split_once("://").map(|(scheme, _)| scheme);
                return if scheme.is_some_and(is_storage_scheme) {
                    Err(invalid(error.to_string()))
                } else {
                    Ok(None)
                };
            }
        };
        use ObjectStoreScheme::{AmazonS3, GoogleCloudStorage, MicrosoftAzure};
        let (provider, path) = match ObjectStoreScheme::parse(&url) {
            Ok((provider @ (AmazonS3 | GoogleCloudStorage | MicrosoftAzure), path)) => {
                (provider, path)
            }
            Ok(_) => return Ok(None),
            Err(_) if !is_storage_scheme(url.scheme()) => return Ok(None),
            Err(_) if url.host_str().is_none() => {
                return Err(invalid("expected a bucket or container".to_owned()));
            }
            Err(error) => return Err(invalid(error.to_string())),
        };
        // The object_store crate would ignore these: better no object than one in another place than was named.
        let takes_user = matches!(url.scheme(), "az" | "abfs" | "abfss");
        let surplus = [
            (url.port().is_some(), "a port"),
            (url.password().is_some(), "a password"),
            (!url.username().is_empty() && !takes_user, "a user name"),
            (url.query().is_some(), "a query"),
            (url.fragment().is_some(), "a fragment"),
        ];
        if let Some((_, what)) = surplus.iter().find(|(present, _)| *present) {
            return Err(invalid(format!("{what} has no meaning there")));
        }
        let url_path =
            Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;
        Ok(Some(Self {
            url,
            provider,
            path,
            url_path,
        }))
    }

    /// Whether it names an object, and not a whole bucket.
    pub fn names_object(&self) -> bool {
        !self.path.as_ref().is_empty()
    }

    /// Whether it is `prefix` or lies below it: same provider, same bucket, and the same leading parts of the path.
    /// Aliases of a scheme (`s3a`, `azure` ...) count as the same; a bucket under its `https` address does not.
    pub fn is_within(&self, prefix: &Self) -> bool {
        canonical_scheme(self.url.scheme()) == canonical_scheme(prefix.url.scheme())
            && self.url.username() == prefix.url.username()
            && self.url.host_str() == prefix.url.host_str()
            && self.url_path.prefix_matches(&prefix.url_path)
    }

    /// Writes an object here, replacing one that exists. At most
    /// [`STORAGE_PARTS_UNDER_WAY_MAX`](crate::limits::STORAGE_PARTS_UNDER_WAY_MAX) + 1 parts of
    /// [`STORAGE_PART_BYTES`](crate::limits::STORAGE_PART_BYTES) are in memory. When the content fails, or `cancelled` completes first, or the provider
    /// fails, the upload is aborted. Returns the length in bytes.
    ///
    /// # Errors
    /// [`StorageError`]; an object that was here before is still there then.
    pub async fn write<S, C>(
        &self,
        options: &StorageOptions,
        content: S,
        cancelled: C,
    ) -> Result<u64, StorageError>
    where
        S: Stream<Item = io::Result<Bytes>> + Unpin,
        C: Future<Output = ()>,
    {
        let mut upload = Upload::new(self, self.connect(options)?);
        let result = upload.run(content, std::pin::pin!(cancelled)).await;
        if result.is_err() {
            upload.abort().await;
        }
        result.map(|()| upload.bytes())
    }

    fn connect(&self, options: &StorageOptions) -> Result<Arc<dyn ObjectStore>, StorageError> {
        // reqwest brings no TLS provider of its own, and panics without one. Where main has installed one, this does
        // nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        macro_rules! connect {
            ($builder:ty) => {
                options
                    .overrides
                    .iter()
                    .fold(
                        <$builder>::from_env().with_url(self.url.as_str()),
                        |builder, (name, value)| match name.to_ascii_lowercase().parse() {
                            Ok(key) => builder.with_config(key, value),
                            Err(_) => builder,
                        },
                    )
                    .with_retry(retries())
                    .build()
                    .map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            };
        }
        match self.provider {
            ObjectStoreScheme::GoogleCloudStorage => connect!(GoogleCloudStorageBuilder),
            ObjectStoreScheme::MicrosoftAzure => connect!(MicrosoftAzureBuilder),
            _ => connect!(AmazonS3Builder),
        }
        .map_err(|cause| StorageError::Settings {
            location: self.to_string(),
            cause: Box::new(cause),
        })
    }

    fn failed(&self, cause: Error) -> StorageError {
        let location = self.to_string();
        let cause = Box::new(cause);
        match *cause {
            Error::NotFound { .. } => StorageError::NotFound { location, cause },
            _ => StorageError::Provider { location, cause },
        }
    }
}

impl fmt::Display for StorageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

fn canonical_scheme(scheme: &str) -> &str {
    match scheme {
        "s3a" => "s3",
        "azure" | "adl" | "abfs" | "abfss" => "az",
        other => other,
    }
}

fn is_storage_scheme(scheme: &str) -> bool {
    matches!(
        canonical_scheme(&scheme.to_ascii_lowercase()),
        "s3" | "gs" | "az"
    )
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: STORAGE_RETRIES_MAX,
        retry_timeout: Duration::from_secs(STORAGE_RETRY_SECONDS_MAX),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    //! Guards against an export that is written where the operator never allowed it.

    use super::*;

    fn location(text: &str) -> StorageLocation {
        StorageLocation::parse(text).unwrap().unwrap()
    }

    #[test]
    fn only_object_stores_are_storage_locations() {
        for text in [
            "s3://bucket/a",
            "s3a://bucket/a",
            "S3://bucket/a",
            "gs://bucket/a/b",
            "az://container/a",
            "azure://container/a",
            "abfss://container@account.dfs.core.windows.net/a",
            "https://bucket.s3.eu-west-1.amazonaws.com/a",
        ] {
            assert!(location(text).names_object(), "{text}");
        }
        for text in [
            "output.sktrace",
            "",
            "/tmp/a",
            "../s3/a",
            "file:///tmp/a",
            "memory:/a",
            "C:\\a",
            "oracle3://bucket/a",
            "http://example.com/a",
            "https://example.com/a",
        ] {
            assert_eq!(StorageLocation::parse(text), Ok(None), "{text}");
        }
        assert!(!location("s3://bucket").names_object());
        assert!(!location("gs://bucket/").names_object());
    }

    #[test]
    fn a_url_that_says_more_or_less_than_a_place_is_refused() {
        for (text, reason) in [
            ("s3://", "bucket"),
            ("gs:///a", "bucket"),
            ("s3://[x/a", "address"),
            ("s3://bucket:9000/a", "a port"),
            ("s3://bucket/a?partNumber=1", "a query"),
            ("s3://bucket/a#b", "a fragment"),
            ("s3://me@bucket/a", "a user name"),
            ("az://me:secret@container/a", "a password"),
            ("azure://me@container/a", "a user name"),
            ("s3://bucket/a//b", "a//b"),
        ] {
            let error = StorageLocation::parse(text).unwrap_err();
            assert_eq!(error.text, text);
            assert!(error.reason.contains(reason), "{text}: {}", error.reason);
        }
    }

    #[test]
    fn a_location_is_within_its_bucket_and_its_folders_and_nothing_else() {
        let within = |text: &str, prefix: &str| location(text).is_within(&location(prefix));
        assert!(within("s3://bucket/a", "s3://bucket"));
        assert!(within("s3a://bucket/a", "s3://bucket/"));
        assert!(within("s3://bucket/traces/a", "s3://bucket/traces"));
        assert!(within("s3://bucket/traces/x/a", "s3://bucket/traces/"));
        assert!(within("azure://c/a", "az://c"));
        assert!(within(
            "https://s3.eu-west-1.amazonaws.com/bucket/a",
            "https://s3.eu-west-1.amazonaws.com/bucket"
        ));

        assert!(!within("s3://bucket2/a", "s3://bucket"));
        assert!(!within("gs://bucket/a", "s3://bucket"));
        assert!(!within("s3://bucket/traces2/a", "s3://bucket/traces"));
        assert!(!within("s3://bucket/a", "s3://bucket/traces"));
        assert!(!within("s3://bucket/traces/../a", "s3://bucket/traces"));
        assert!(!within("s3://bucket/traces/%2e%2e/a", "s3://bucket/traces"));
        assert!(!within("az://c@other.dfs.core.windows.net/a", "az://c"));
        assert!(!within(
            "https://s3.eu-west-1.amazonaws.com/other/a",
            "https://s3.eu-west-1.amazonaws.com/bucket"
        ));
        assert!(!within(
            "https://s3.us-east-1.amazonaws.com/bucket/a",
            "https://s3.eu-west-1.amazonaws.com/bucket"
        ));
    }

    #[test]
    fn settings_are_named_and_not_shown() {
        let options = StorageOptions {
            overrides: vec![("aws_secret_access_key".to_owned(), "hunter2".to_owned())],
        };
        assert_eq!(format!("{options:?}"), r#"{"aws_secret_access_key"}"#);
    }
}
