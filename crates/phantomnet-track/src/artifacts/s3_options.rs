//! How to reach an object store.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::rest::proxy;

/// What goes beside an artifact location `s3://bucket/path`: credentials, address and transport. Its [`Debug`] form holds no
/// secret.
#[derive(Clone, Default, PartialEq)]
pub struct S3Options {
    /// Who asks. Without them, nothing is asked.
    pub credentials: Option<S3Credentials>,
    /// Region of the bucket, `us-east-1` by default. Stores other than Amazon's mostly take any.
    pub region: Option<String>,
    /// Address of the store, such as `http://minio:9000`; `None` for Amazon's in the region.
    pub endpoint: Option<String>,
    /// Where the bucket's name goes.
    pub addressing: S3Addressing,
    /// Takes any certificate.
    pub insecure_tls: bool,
    /// PEM file of the authorities that may sign the store's certificate, instead of those that browsers trust.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy to go through; as [`ServerOptions::proxy`](crate::ServerOptions::proxy).
    pub proxy: Option<String>,
}

/// Proof of who asks an object store. Its [`Debug`] form says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Id of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// What comes with temporary keys.
    pub session_token: Option<String>,
}

/// Where the name of a bucket goes in the address of what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum S3Addressing {
    /// In the host's name at Amazon's, if it can be there, and in the path elsewhere.
    #[default]
    Auto,
    /// In the path: `https://host/bucket/...`.
    Path,
    /// In the host's name: `https://bucket.host/...`.
    Virtual,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Credentials(..)")
    }
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("credentials", &self.credentials)
            .field("region", &self.region)
            // These addresses may hold a password.
            .field("endpoint", &self.endpoint.as_ref().map(|_| ".."))
            .field("addressing", &self.addressing)
            .field("insecure_tls", &self.insecure_tls)
            .field("ca_bundle", &self.ca_bundle)
            .field("proxy", &self.proxy.as_ref().map(|_| ".."))
            .finish()
    }
}

impl S3Options {
    /// The options that MLflow's client, and the library it asks object stores with, read from environment variables. `get` gives a
    /// variable's value; an empty one counts as none.
    ///
    /// Read are `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (both, or neither counts), `AWS_SESSION_TOKEN`,
    /// `AWS_DEFAULT_REGION`, else `AWS_REGION`, `MLFLOW_S3_ENDPOINT_URL`, else `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`,
    /// `MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE`, `MLFLOW_S3_IGNORE_TLS`, `AWS_CA_BUNDLE`, and the variables of proxies.
    ///
    /// # Errors
    /// [`Error::ServerOption`] naming the variable.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let style = "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE";
        let addressing = match get(style).as_deref() {
            None | Some("auto") => S3Addressing::Auto,
            Some("path") => S3Addressing::Path,
            Some("virtual") => S3Addressing::Virtual,
            Some(other) => {
                return Err(Error::ServerOption {
                    option: style.to_owned(),
                    problem: format!("expected `auto`, `path` or `virtual`, got `{}`", crate::error::shown(other)),
                });
            }
        };
        let keys = get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY"));
        let endpoint = first(&["MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let insecure = get("MLFLOW_S3_IGNORE_TLS");
        Ok(Self {
            credentials: keys.map(|(access_key_id, secret_access_key)| S3Credentials {
                access_key_id,
                secret_access_key,
                session_token: get("AWS_SESSION_TOKEN"),
            }),
            region: first(&["AWS_DEFAULT_REGION", "AWS_REGION"]),
            proxy: proxy(endpoint.as_deref().unwrap_or("https://s3.amazonaws.com"), get),
            endpoint,
            addressing,
            insecure_tls: insecure.is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1")),
            ca_bundle: get("AWS_CA_BUNDLE").map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn from(variables: &[(&str, &str)]) -> Result<S3Options> {
        S3Options::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_those_of_mlflow() {
        let options = from(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
            ("AWS_SESSION_TOKEN", "token"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", "http://c"),
            ("AWS_ENDPOINT_URL_S3", "http://b"),
            ("MLFLOW_S3_ENDPOINT_URL", "http://a:9000"),
            ("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "virtual"),
            ("MLFLOW_S3_IGNORE_TLS", "true"),
            ("AWS_CA_BUNDLE", "ca.pem"),
            ("HTTP_PROXY", "http://p:1"),
        ])
        .expect("valid");
        let credentials = S3Credentials {
            access_key_id: "id".into(),
            secret_access_key: "key".into(),
            session_token: Some("token".into()),
        };
        let expected = S3Options {
            credentials: Some(credentials),
            region: Some("eu-central-1".into()),
            endpoint: Some("http://a:9000".into()),
            addressing: S3Addressing::Virtual,
            insecure_tls: true,
            ca_bundle: Some("ca.pem".into()),
            proxy: Some("http://p:1".into()),
        };
        assert_eq!(options, expected);
        assert_eq!(from(&[]).expect("valid"), S3Options::default());
    }

    #[rstest]
    #[case(&[("AWS_ENDPOINT_URL", "http://c"), ("AWS_ENDPOINT_URL_S3", "http://b")], "http://b")]
    #[case(&[("AWS_ENDPOINT_URL", "http://c"), ("MLFLOW_S3_ENDPOINT_URL", "")], "http://c")]
    fn the_endpoint_that_is_named_best_wins(#[case] variables: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(from(variables).expect("valid").endpoint.as_deref(), Some(expected));
    }

    #[test]
    fn half_a_key_is_none() {
        assert_eq!(from(&[("AWS_ACCESS_KEY_ID", "id"), ("AWS_SESSION_TOKEN", "t")]).expect("valid").credentials, None);
    }

    #[rstest]
    #[case(&[("HTTPS_PROXY", "http://p:1")], Some("http://p:1"))]
    #[case(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", ".amazonaws.com")], None)]
    #[case(&[("HTTPS_PROXY", "http://p:1"), ("MLFLOW_S3_ENDPOINT_URL", "http://minio:9000")], None)]
    fn proxies(#[case] variables: &[(&str, &str)], #[case] expected: Option<&str>) {
        assert_eq!(from(variables).expect("valid").proxy.as_deref(), expected);
    }

    #[test]
    fn a_wrong_style_is_named() {
        let message = from(&[("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "dns")]).expect_err("refused").to_string();
        assert_eq!(message, "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE: expected `auto`, `path` or `virtual`, got `dns`");
    }

    #[test]
    fn secrets_are_not_printed() {
        let options = from(&[
            ("AWS_ACCESS_KEY_ID", "hunter2"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "hunter2"),
            ("AWS_ENDPOINT_URL", "http://ana:hunter2@host"),
            ("HTTP_PROXY", "http://ana:hunter2@proxy"),
        ])
        .expect("valid");
        assert!(!format!("{options:?}").contains("hunter2"), "{options:?}");
    }
}
