//! A connection to a server, of whatever kind: how it is reached, and attempts until one succeeds.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use crate::error::{Error, Peer, Result};
use crate::rest::ServerOptions;

/// Most bytes of what a server says about an error.
pub(crate) const MAX_COMPLAINT: u64 = 64 << 10;
/// Longest wait that a server may ask for between two attempts.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// A server, and how it is reached.
pub(crate) struct Transport {
    pub(crate) peer: Peer,
    pub(crate) uri: String,
    pub(crate) agent: Agent,
    options: ServerOptions,
    has_answered: AtomicBool,
}

/// An attempt that failed.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The wait that the server asked for, where another attempt may succeed.
    pub(crate) retry: Option<Option<Duration>>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, retry: None }
    }
}

/// What one attempt gives.
pub(crate) type Attempt<T> = std::result::Result<T, Failed>;

impl Transport {
    /// # Errors
    /// [`Error::ServerOption`].
    pub(crate) fn new(peer: Peer, uri: String, options: ServerOptions) -> Result<Self> {
        let timeout = Some(options.timeout);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirected POST would lose its body.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls(&options)?)
            .proxy(options.proxy.as_deref().map(proxy).transpose()?)
            .user_agent(concat!("phantomnet-track/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .build();
        Ok(Self { peer, uri, agent: config.new_agent(), options, has_answered: AtomicBool::new(false) })
    }

    /// Says that an answer has come: from now on the server's silence is an outage, and no wrong address.
    pub(crate) fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Longest time for a request, unless a file goes one way or the other: it takes as long as it takes, but anything else that comes byte
    /// by byte would keep us for ever.
    pub(crate) fn max_time(&self, is_file: bool) -> Option<Duration> {
        Some(self.options.max_wait.max(self.options.timeout)).filter(|_| !is_file)
    }

    /// Tries until an attempt succeeds, cannot succeed, or time or retries run out. `attempt` is given its number, from 0.
    pub(crate) fn retrying<T>(&self, mut attempt: impl FnMut(u32) -> Attempt<T>) -> Result<T> {
        let started = Instant::now();
        let mut n_attempts = 0;
        loop {
            let Failed { error, retry } = match attempt(n_attempts) {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            n_attempts += 1;
            let max_wait = if self.has_answered.load(Ordering::Relaxed) {
                self.options.max_wait
            } else {
                self.options.max_wait_for_first_answer.min(self.options.max_wait)
            };
            let wait = retry.map(|asked| asked.unwrap_or_else(|| self.backoff(n_attempts)));
            match wait {
                Some(wait) if n_attempts <= self.options.max_retries && started.elapsed() + wait < max_wait => {
                    thread::sleep(wait);
                }
                _ => return Err(counted(error, n_attempts)),
            }
        }
    }

    /// As `urllib3` waits for MLflow's own clients: nothing, then twice the factor, four times, ..., each with a random part.
    fn backoff(&self, n_attempts: u32) -> Duration {
        let mut random = [0; 4];
        // Without randomness clients wait in step, which is all that is lost.
        let _ = getrandom::fill(&mut random);
        let jitter = self.options.backoff_jitter * f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
        let exponential = match n_attempts {
            1 => 0.0,
            n => self.options.backoff_factor * f64::from(1_u32 << (n - 1).min(20)),
        };
        Duration::from_secs_f64((exponential + jitter).min(120.0))
    }

    /// The failure of a request to `action` that had no answer.
    pub(crate) fn no_answer(&self, action: &'static str, error: &ureq::Error) -> Failed {
        use std::io::ErrorKind;
        let is_final = match error {
            // Of a certificate that is not to be trusted, the library says so here.
            ureq::Error::Io(error) => matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput),
            ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::BodyStalled => false,
            _ => true,
        };
        let (peer, uri, problem) = (self.peer, self.uri.clone(), error.to_string());
        let error = Error::Unreachable { peer, uri, action, n_attempts: 1, problem };
        Failed { error, retry: (!is_final).then_some(None) }
    }

    /// The failure of a request to `action` that the server cannot answer now.
    ///
    /// - `retry_after`: what it says of when it can.
    pub(crate) fn unavailable(
        &self,
        action: &'static str,
        status: u16,
        message: String,
        retry_after: Option<&str>,
    ) -> Failed {
        let asked = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let (peer, uri) = (self.peer, self.uri.clone());
        let error = Error::Unavailable { peer, uri, action, n_attempts: 1, status, message };
        Failed { error, retry: Some(asked.map(|wait| wait.min(MAX_RETRY_AFTER))) }
    }
}

/// Whether an HTTP status says that the next attempt may succeed.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn counted(error: Error, n: u32) -> Error {
    match error {
        Error::Unreachable { peer, uri, action, problem, .. } => {
            Error::Unreachable { peer, uri, action, problem, n_attempts: n }
        }
        Error::Unavailable { peer, uri, action, status, message, .. } => {
            Error::Unavailable { peer, uri, action, status, message, n_attempts: n }
        }
        error => error,
    }
}

fn option_error<E: std::fmt::Display>(option: &str, path: Option<&Path>) -> impl FnOnce(E) -> Error {
    let of = path.map_or_else(String::new, |path| format!("`{}`: ", path.display()));
    let option = option.to_owned();
    move |error| Error::ServerOption { option, problem: format!("{of}{error}") }
}

fn proxy(proxy: &str) -> Result<Proxy> {
    // The proxy's address may hold a password: not repeated.
    Proxy::new(proxy).map_err(option_error("proxy", None))
}

fn tls(options: &ServerOptions) -> Result<TlsConfig> {
    let mut tls = TlsConfig::builder().disable_verification(options.insecure_tls);
    if let Some(path) = &options.ca_bundle {
        let (certificates, _) = pem("CA bundle", path)?;
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
    }
    if let Some(path) = &options.client_certificate {
        let (certificates, key) = pem("client certificate", path)?;
        let key = key.ok_or("it holds no private key").map_err(option_error("client certificate", Some(path)))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates, key)));
    }
    Ok(tls.build())
}

type Pem = (Vec<Certificate<'static>>, Option<PrivateKey<'static>>);

fn pem(option: &str, path: &Path) -> Result<Pem> {
    let text = std::fs::read(path).map_err(option_error(option, Some(path)))?;
    let (mut certificates, mut key) = (Vec::new(), None);
    for item in parse_pem(&text) {
        match item.map_err(option_error(option, Some(path)))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            PemItem::PrivateKey(found) => key = Some(found),
            _ => {}
        }
    }
    if certificates.is_empty() {
        return Err(option_error(option, Some(path))("it holds no certificate"));
    }
    Ok((certificates, key))
}
