//! How to reach a tracking server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::artifacts::S3Options;
use crate::error::{Error, Result};

/// What goes beside the tracking URI of a server: credentials, transport and patience. [`Default`] is that of MLflow's
/// own clients, without credentials. Its [`Debug`] form holds no secret.
#[derive(Clone, PartialEq)]
pub struct ServerOptions {
    /// Who asks; `None` on a server without authentication.
    pub credentials: Option<Credentials>,
    /// Takes any certificate.
    pub insecure_tls: bool,
    /// PEM file of the authorities that may sign the server's certificate, instead of those that browsers trust.
    pub ca_bundle: Option<PathBuf>,
    /// PEM file of a certificate of ours and its key, for a server that asks for one.
    pub client_certificate: Option<PathBuf>,
    /// Proxy to go through, `http://host:port` or `https://...`, by CONNECT, whatever the server's scheme.
    pub proxy: Option<String>,
    /// Longest wait for a connection, for the next bytes of an answer, and to hand over the next bytes of a request.
    pub timeout: Duration,
    /// How often a request that failed is repeated, where that is safe.
    pub max_retries: u32,
    /// Seconds before the second retry, doubled before each further one; the first comes at once.
    pub backoff_factor: f64,
    /// Seconds of which a random part is added to every wait.
    pub backoff_jitter: f64,
    /// Time after which a request is not repeated any more, waits included.
    pub max_wait: Duration,
    /// The same until the server has answered for the first time: a wrong address should not take as long to notice as an outage.
    pub max_wait_for_first_answer: Duration,
    /// How to reach an object store, for artifacts at locations `s3://bucket/path`. Patience is that above.
    pub s3: S3Options,
}

/// Proof of who asks. Its [`Debug`] form says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Basic`.
    Basic {
        /// User name, without `:`.
        user: String,
        /// Password.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("credentials", &self.credentials)
            .field("insecure_tls", &self.insecure_tls)
            .field("ca_bundle", &self.ca_bundle)
            .field("client_certificate", &self.client_certificate)
            // Its address may hold a password.
            .field("proxy", &self.proxy.as_ref().map(|_| ".."))
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .field("backoff_factor", &self.backoff_factor)
            .field("backoff_jitter", &self.backoff_jitter)
            .field("max_wait", &self.max_wait)
            .field("max_wait_for_first_answer", &self.max_wait_for_first_answer)
            .field("s3", &self.s3)
            .finish()
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            insecure_tls: false,
            ca_bundle: None,
            client_certificate: None,
            proxy: None,
            timeout: Duration::from_secs(120),
            max_retries: 7,
            backoff_factor: 2.0,
            backoff_jitter: 1.0,
            max_wait: Duration::from_secs(300),
            max_wait_for_first_answer: Duration::from_secs(10),
            s3: S3Options::default(),
        }
    }
}

/// Longest of the configurable waits: a day.
const MAX_SECONDS: f64 = 86_400.0;

impl ServerOptions {
    /// The options that MLflow's clients read from environment variables, for the server at `uri`. `get` gives a variable's
    /// value; an empty one counts as none.
    ///
    /// Read are `MLFLOW_TRACKING_USERNAME`, `_PASSWORD` (both, or neither counts), `_TOKEN`, `_INSECURE_TLS`,
    /// `_SERVER_CERT_PATH`, `_CLIENT_CERT_PATH`, `MLFLOW_HTTP_REQUEST_TIMEOUT`, `_MAX_RETRIES`, `_BACKOFF_FACTOR`,
    /// `_BACKOFF_JITTER`, and, in small or capital letters, `HTTPS_PROXY` or `HTTP_PROXY` as the URI demands, `ALL_PROXY`
    /// and `NO_PROXY`. To these come those of [`S3Options::from_variables`]. For an embedded store, `uri` is none of a server's, and
    /// only `s3` and the patience matter.
    ///
    /// # Errors
    /// [`Error::ServerOption`] naming the variable.
    pub fn from_variables(uri: &str, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let number = |name: &'static str, default: f64, max: f64| -> Result<f64> {
            let Some(text) = get(name) else { return Ok(default) };
            let number = text.parse().ok().filter(|n| (0.0..=max).contains(n));
            number.ok_or_else(|| Error::ServerOption {
                option: name.to_owned(),
                problem: format!("expected a number from 0 to {max}, got `{}`", crate::error::shown(&text)),
            })
        };
        let default = Self::default();
        let basic = get("MLFLOW_TRACKING_USERNAME").zip(get("MLFLOW_TRACKING_PASSWORD"));
        let credentials = basic
            .map(|(user, password)| Credentials::Basic { user, password })
            .or_else(|| get("MLFLOW_TRACKING_TOKEN").map(Credentials::Bearer));
        let insecure = get("MLFLOW_TRACKING_INSECURE_TLS");
        let options = Self {
            credentials,
            insecure_tls: insecure.is_some_and(|value| matches!(value.to_lowercase().as_str(), "true" | "1")),
            ca_bundle: get("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from),
            client_certificate: get("MLFLOW_TRACKING_CLIENT_CERT_PATH").map(PathBuf::from),
            proxy: proxy(uri, get),
            timeout: Duration::from_secs_f64(
                number("MLFLOW_HTTP_REQUEST_TIMEOUT", default.timeout.as_secs_f64(), MAX_SECONDS)?.max(0.1),
            ),
            max_retries: number("MLFLOW_HTTP_REQUEST_MAX_RETRIES", default.max_retries.into(), 1000.0)? as u32,
            backoff_factor: number("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", default.backoff_factor, MAX_SECONDS)?,
            backoff_jitter: number("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", default.backoff_jitter, MAX_SECONDS)?,
            s3: S3Options::from_variables(get)?,
            ..default
        };
        if options.insecure_tls && options.ca_bundle.is_some() {
            return Err(Error::ServerOption {
                option: "MLFLOW_TRACKING_INSECURE_TLS".to_owned(),
                problem: "it makes MLFLOW_TRACKING_SERVER_CERT_PATH useless: unset one of them".to_owned(),
            });
        }
        Ok(options)
    }
}

/// The proxy that the environment names for `uri`.
pub(crate) fn proxy(uri: &str, get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let either = |name: &str| get(&name.to_lowercase()).or_else(|| get(name));
    let host = host(uri)?;
    let exempt = either("NO_PROXY").is_some_and(|list| list.split(',').any(|entry| is_exempt(host, entry.trim())));
    if exempt {
        return None;
    }
    let of_scheme = if uri.starts_with("https:") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    either(of_scheme).or_else(|| either("ALL_PROXY"))
}

/// Whether an entry of `NO_PROXY` names the host: `*`, the host, or a domain it is in, with or without a dot before it.
fn is_exempt(host: &str, entry: &str) -> bool {
    let entry = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')).unwrap_or(entry);
    let (host, entry) = (host.to_lowercase(), entry.to_lowercase());
    entry == "*"
        || !entry.is_empty() && (host == entry || host.strip_suffix(&entry).is_some_and(|rest| rest.ends_with('.')))
}

/// Host of a server's URI, an IPv6 address without brackets. `None` where there is none.
pub(super) fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    Some(host).filter(|host| !host.is_empty())
}

/// Whether the server's URI names this machine.
pub(super) fn is_local(uri: &str) -> bool {
    host(uri).is_some_and(|host| {
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// Whether requests to this tracking URI cross a network unencrypted, credentials and data with them.
pub fn is_sent_in_clear(uri: &str) -> bool {
    uri.starts_with("http://") && !is_local(uri)
}

/// Whether a URI can be that of a tracking server: a host, and neither credentials nor a query in it.
///
/// # Errors
/// [`Error::ServerUri`], which does not repeat a URI that holds credentials.
pub fn check_server_uri(uri: &str) -> Result<()> {
    base_uri(uri).map(drop)
}

/// The URI without a slash at its end, if it can be that of a tracking server.
///
/// # Errors
/// [`Error::ServerUri`], which does not repeat a URI that holds credentials.
pub(crate) fn base_uri(uri: &str) -> Result<String> {
    let refused = |expected: &str| {
        let is_secret = uri.contains('@');
        let uri = if is_secret { "http(s)://***@***".to_owned() } else { uri.to_owned() };
        Err(Error::ServerUri { uri, expected: expected.to_owned() })
    };
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    if authority.contains('@') {
        return refused("no user name or password in it; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
    }
    if uri.contains(['?', '#']) {
        return refused("no `?` and no `#`");
    }
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '<' | '>' | '`' | '{' | '}' | '|' | '^');
    if host(uri).is_none() || !uri.chars().all(is_plain) {
        return refused("`http://host:port` or `https://host/path`");
    }
    Ok(uri.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn from(uri: &str, variables: &[(&str, &str)]) -> Result<ServerOptions> {
        ServerOptions::from_variables(uri, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_those_of_mlflow() {
        let options = from(
            "https://mlflow.example",
            &[
                ("MLFLOW_TRACKING_USERNAME", "ana"),
                ("MLFLOW_TRACKING_PASSWORD", "secret"),
                ("MLFLOW_TRACKING_TOKEN", "token"),
                ("MLFLOW_TRACKING_SERVER_CERT_PATH", "ca.pem"),
                ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"),
                ("MLFLOW_HTTP_REQUEST_TIMEOUT", "2.5"),
            ],
        )
        .expect("valid");
        let credentials = Credentials::Basic { user: "ana".into(), password: "secret".into() };
        assert_eq!(options.credentials, Some(credentials));
        assert_eq!((options.max_retries, options.timeout), (3, Duration::from_millis(2500)));
        assert_eq!(options.ca_bundle, Some("ca.pem".into()));
        assert_eq!(from("http://a", &[]).expect("valid"), ServerOptions::default());
    }

    #[rstest]
    // A user name or a password alone is no credential.
    #[case(&[("MLFLOW_TRACKING_USERNAME", "ana"), ("MLFLOW_TRACKING_TOKEN", "t")], Some(Credentials::Bearer("t".into())))]
    #[case(&[("MLFLOW_TRACKING_USERNAME", "ana"), ("MLFLOW_TRACKING_PASSWORD", "")], None)]
    fn credentials(#[case] variables: &[(&str, &str)], #[case] expected: Option<Credentials>) {
        assert_eq!(from("http://a", variables).expect("valid").credentials, expected);
    }

    #[test]
    fn secrets_are_not_printed() {
        let options = ServerOptions {
            credentials: Some(Credentials::Basic { user: "ana".into(), password: "hunter2".into() }),
            proxy: Some("http://ana:hunter2@proxy".into()),
            ..ServerOptions::default()
        };
        let printed = format!("{options:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("ana"), "{printed}");
        assert!(!format!("{:?}", Credentials::Bearer("hunter2".into())).contains("hunter2"));
        let error = base_uri("http://ana:hunter2@host").expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[rstest]
    #[case("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "many")]
    #[case("MLFLOW_HTTP_REQUEST_TIMEOUT", "-1")]
    #[case("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "NaN")]
    fn bad_numbers_are_named(#[case] variable: &str, #[case] value: &str) {
        let message = from("http://a", &[(variable, value)]).expect_err("refused").to_string();
        assert!(message.contains(variable) && message.contains(value), "{message}");
    }

    #[rstest]
    #[case("https://a.example", &[("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:1")], Some("http://p:1"))]
    #[case("http://a.example", &[("HTTPS_PROXY", "http://p:1"), ("http_proxy", "http://q:1")], Some("http://q:1"))]
    #[case("http://a.example", &[("ALL_PROXY", "http://p:1")], Some("http://p:1"))]
    #[case("http://a.example:80/x", &[("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "b, .example")], None)]
    #[case("http://a.example", &[("HTTP_PROXY", "http://p:1"), ("no_proxy", "ample")], Some("http://p:1"))]
    #[case("http://[::1]:5000", &[("HTTP_PROXY", "http://p:1"), ("NO_PROXY", "::1")], None)]
    fn proxies(#[case] uri: &str, #[case] variables: &[(&str, &str)], #[case] expected: Option<&str>) {
        assert_eq!(from(uri, variables).expect("valid").proxy.as_deref(), expected);
    }

    #[rstest]
    #[case("http://localhost:5000", false)]
    #[case("http://127.0.0.1:5000", false)]
    #[case("http://[::1]:5000/x", false)]
    #[case("http://mlflow", true)]
    #[case("http://10.0.0.7:5000", true)]
    #[case("https://mlflow", false)]
    #[case("sqlite:///mlflow.db", false)]
    fn sent_in_clear(#[case] uri: &str, #[case] expected: bool) {
        assert_eq!(is_sent_in_clear(uri), expected);
    }

    #[rstest]
    #[case("http://host:5000/", Some("http://host:5000"))]
    #[case("https://host/mlflow//", Some("https://host/mlflow"))]
    #[case("http://", None)]
    #[case("http:///path", None)]
    #[case("http://host?x=1", None)]
    #[case("http://host#x", None)]
    #[case("http://host/a b", None)]
    #[case("http://host/\n", None)]
    fn base_uris(#[case] uri: &str, #[case] expected: Option<&str>) {
        assert_eq!(base_uri(uri).ok().as_deref(), expected);
    }
}
